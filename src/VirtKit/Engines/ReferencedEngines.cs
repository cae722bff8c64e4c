using VirtKit.Interpreter;

namespace VirtKit.Engines;

/// <summary>What VirtKit.Accel tells of itself where the application references it.</summary>
internal interface IEngineCatalog
{
    /// <summary>Its engines with their default options, the fastest first.</summary>
    IReadOnlyList<ExecutionEngine> Engines { get; }
}

/// <summary>The engines that the application references. VirtKit does not reference VirtKit.Accel, which references it: the catalog there is found by its name.</summary>
/// <remarks>
/// NOTE(design): a constant name is understood by the trimmer and by NativeAOT's compiler, which keep the class where the assembly is referenced, and leave nothing
/// behind where it is not. A module initializer of VirtKit.Accel would register its engines only after the application has used a type of it, and a call that
/// every application has to make is one that it forgets.
/// </remarks>
internal static class ReferencedEngines
{
    private static readonly IEngineCatalog? Accelerated =
        Type.GetType("VirtKit.Accel.AcceleratedEngines, VirtKit.Accel") is { } type ? (IEngineCatalog)Activator.CreateInstance(type)! : null;

    /// <summary>The engines, the fastest first. One instance serves all machines, so that what it has found out about the host is found out once.</summary>
    public static IReadOnlyList<ExecutionEngine> All { get; } = [.. Accelerated?.Engines ?? [], new InterpreterEngine()];

    /// <summary>What the application could reference and does not.</summary>
    public static IReadOnlyList<EngineRefusal> Missing { get; } =
        Accelerated is null ? [new EngineRefusal("VirtKit.Accel", "The package, which has the translator and KVM, is not referenced.")] : [];
}
