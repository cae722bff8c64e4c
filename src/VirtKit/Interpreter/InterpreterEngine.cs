using VirtKit.Engines;

namespace VirtKit.Interpreter;

/// <summary>The reference engine: portable, always there.</summary>
public sealed class InterpreterEngine : ExecutionEngine
{
    /// <inheritdoc/>
    public override string Name => "interpreter";

    /// <inheritdoc/>
    public override bool Supports(GuestArchitecture architecture, out string? reason)
    {
        reason = "not yet";
        return false;
    }

    /// <inheritdoc/>
    public override EnginePartition CreatePartition(PartitionContext context) => throw new VirtKitException("not yet");
}
