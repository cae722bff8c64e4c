using VirtKit.Engines;
using VirtKit.Execution;

namespace VirtKit.Interpreter;

/// <summary>The reference engine: it runs everywhere, without generating code. It counts instructions exactly and repeats exactly with
/// <see cref="VcpuScheduling.Deterministic"/>.</summary>
public sealed class InterpreterEngine : ExecutionEngine
{
    /// <inheritdoc/>
    public override string Name => "interpreter";

    /// <summary>How one instruction handler passes on to the next; <see langword="null"/> probes at start-up whether tail calls work.</summary>
    internal InterpreterDispatch? Dispatch { get; init; }

    /// <summary>How many bytes of predecoded code one machine keeps: 256 MiB, of which a vCPU may have 64 MiB. A vCPU that reaches its part drops all it has.</summary>
    internal long CodeCacheSize { get; init; } = 256L << 20;

    /// <inheritdoc/>
    public override bool Supports(GuestArchitecture architecture, out string? reason)
    {
        ArgumentNullException.ThrowIfNull(architecture);
        reason = architecture.SoftwareObjection;
        return reason is null;
    }

    /// <inheritdoc/>
    public override EnginePartition CreatePartition(PartitionContext context)
    {
        ArgumentNullException.ThrowIfNull(context);
        if (!Supports(context.Architecture, out string? reason))
            throw new VirtKitException($"The interpreter cannot run {context.Architecture.Name}: {reason}");
        InterpreterDispatch dispatch = Dispatch ?? (TailCallProbe.TailCallsWork() ? InterpreterDispatch.TailThreaded : InterpreterDispatch.Loop);
        return new InterpreterPartition(context.System, dispatch, Math.Min(CodeCacheSize / context.VcpuCount, 64L << 20));
    }
}

/// <summary>How one instruction handler passes on to the next.</summary>
internal enum InterpreterDispatch : byte
{
    TailThreaded,
    Loop,
}

/// <param name="codeLimit">Bytes of predecoded code for each vCPU.</param>
internal sealed class InterpreterPartition(GuestSystem system, InterpreterDispatch dispatch, long codeLimit) : SoftwarePartition(system)
{
    private readonly HandlerTable _handlers = dispatch == InterpreterDispatch.Loop
        ? HandlerTable.Of<LoopDispatch>(system.Instructions)
        : HandlerTable.Of<TailDispatch>(system.Instructions);

    // Each vCPU has predecoded code of its own.
    public override SoftwarePartition Sibling(GuestSystem other) => new InterpreterPartition(other, dispatch, codeLimit);

    public override VcpuCore CreateVcpu(int index) => new InterpreterCore(System, index, _handlers, dispatch, codeLimit);
}
