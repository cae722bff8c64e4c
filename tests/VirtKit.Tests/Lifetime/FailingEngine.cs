using VirtKit.Engines;

namespace VirtKit.Tests.Lifetime;

/// <summary>An engine that cannot make one of its vCPUs, and counts what is released.</summary>
/// <param name="failsAt">The index of that vCPU.</param>
internal sealed class FailingEngine(int failsAt) : ExecutionEngine
{
    public int Created { get; private set; }

    public int CoresDisposed { get; private set; }

    public int PartitionsDisposed { get; private set; }

    public override string Name => "failing";

    public override bool Supports(GuestArchitecture architecture, out string? reason)
    {
        reason = null;
        return true;
    }

    public override EnginePartition CreatePartition(PartitionContext context) => new Partition(this);

    private sealed class Partition(FailingEngine engine) : EnginePartition
    {
        public override VcpuCore CreateVcpu(int index)
        {
            if (index == engine.FailsAt)
                throw new VirtKitException("no more");
            engine.Created++;
            return new Core(engine);
        }

        protected override void Dispose(bool disposing)
        {
            engine.PartitionsDisposed++;
            base.Dispose(disposing);
        }
    }

    private int FailsAt => failsAt;

    private sealed class Core(FailingEngine engine) : VcpuCore
    {
        public override bool HasWork => false;

        public override ulong Retired => 0;

        public override VcpuCounters Counters => default;

        public override VcpuExit Run(ulong budget) => new(ExitReason.Halted);

        public override void RequestExit() { }

        public override void EndSlice() { }

        public override void SetPin(int pin, bool level) { }

        public override void Reset() { }

        protected override void Dispose(bool disposing)
        {
            engine.CoresDisposed++;
            base.Dispose(disposing);
        }
    }
}
