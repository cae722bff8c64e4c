namespace VirtKit.Engines;

/// <summary>Which engine runs a machine, and why: the one that <see cref="MachineOptions.Engine"/> names, or else the fastest that the application references and the
/// host can use. Immutable.</summary>
/// <remarks>From the fastest on, the engines are VirtKit.Accel's translator and KVM, each with its default options, and the interpreter. An engine of another
/// origin runs where <see cref="MachineOptions.Engine"/> names it.</remarks>
/// <example>
/// <code>
/// EngineSelection selection = EngineSelection.Choose(new RiscVArchitecture());
/// Console.WriteLine($"{selection.Engine.Name}: {selection.Reason}");
/// foreach (EngineRefusal refusal in selection.Refused)
///     Console.WriteLine(refusal);
/// </code>
/// </example>
public sealed class EngineSelection
{
    private EngineSelection(ExecutionEngine engine, IReadOnlyList<EngineRefusal> refused, string reason)
    {
        Engine = engine;
        Refused = refused;
        Reason = reason;
    }

    /// <summary>The engine.</summary>
    public ExecutionEngine Engine { get; }

    /// <summary>Why this one, and why not a faster one, in a sentence for people.</summary>
    public string Reason { get; }

    /// <summary>The faster engines that were passed over, the fastest first; empty where the options named the engine.</summary>
    public IReadOnlyList<EngineRefusal> Refused { get; }

    /// <summary>Chooses as a machine without <see cref="MachineOptions.Engine"/> does. Thread-safe. It asks the host anew: KVM may have come or gone.</summary>
    /// <param name="architecture">The guest architecture with its configuration.</param>
    /// <exception cref="VirtKitException">No engine can run it here; the message has each one's reason.</exception>
    public static EngineSelection Choose(GuestArchitecture architecture) => Choose(architecture, ReferencedEngines.All, ReferencedEngines.Missing);

    /// <inheritdoc/>
    public override string ToString() => $"{Engine.Name}: {Reason}";

    /// <summary>The engine that a machine's options name, or the best one.</summary>
    internal static EngineSelection For(MachineOptions options) =>
        options.Engine is { } engine ? Named(engine, options.Architecture, "The options name it.") : Choose(options.Architecture);

    /// <summary>An engine that a running machine is given.</summary>
    internal static EngineSelection For(ExecutionEngine engine, GuestArchitecture architecture) => Named(engine, architecture, "Machine.SwitchEngine named it.");

    /// <param name="architecture">The guest architecture.</param>
    /// <param name="engines">The engines there are, the fastest first.</param>
    /// <param name="missing">What is not there, before these.</param>
    internal static EngineSelection Choose(GuestArchitecture architecture, IReadOnlyList<ExecutionEngine> engines, IReadOnlyList<EngineRefusal> missing)
    {
        ArgumentNullException.ThrowIfNull(architecture);
        var refused = new List<EngineRefusal>(missing);
        foreach (ExecutionEngine engine in engines)
        {
            if (engine.Supports(architecture, out string? reason))
                return new EngineSelection(engine, refused, $"The fastest engine that runs {architecture.Name} here.{string.Concat(refused.Select(r => " " + r))}");
            refused.Add(new EngineRefusal(engine.Name, reason ?? "It does not say why."));
        }

        throw new VirtKitException($"No engine runs {architecture.Name} here.{string.Concat(refused.Select(r => " " + r))}");
    }

    private static EngineSelection Named(ExecutionEngine engine, GuestArchitecture architecture, string reason)
    {
        if (!engine.Supports(architecture, out string? objection))
            throw new VirtKitException($"The engine {engine.Name} cannot run {architecture.Name} here: {objection}");
        return new EngineSelection(engine, [], reason);
    }
}

/// <summary>An engine that was passed over.</summary>
/// <param name="Engine">Its name, or that of the package which is not there.</param>
/// <param name="Reason">Why, for people.</param>
public readonly record struct EngineRefusal(string Engine, string Reason)
{
    /// <inheritdoc/>
    public override string ToString() => $"Not {Engine}: {Reason}";
}
