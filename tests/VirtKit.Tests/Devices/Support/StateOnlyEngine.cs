using VirtKit.Engines;
using VirtKit.RiscV;
using VirtKit.X86;

namespace VirtKit.Tests.Devices.Support;

/// <summary>An engine whose cores hold state and pins but run nothing: boards are tested without one that does.</summary>
internal sealed class StateOnlyEngine : ExecutionEngine
{
    public override string Name => "state-only";

    public override bool Supports(GuestArchitecture architecture, out string? reason)
    {
        reason = null;
        return true;
    }

    public override EnginePartition CreatePartition(PartitionContext context) => new Partition();

    private sealed class Partition : EnginePartition
    {
        public override VcpuCore CreateVcpu(int index) => new Core();
    }

    private sealed class Core : VcpuCore, IVcpuState<RiscVState>, IVcpuState<X64State>
    {
        private RiscVState _state;
        private X64State _x64;

        public override bool HasWork => false;

        public override ulong Retired => 0;

        public override VcpuCounters Counters => default;

        public override VcpuExit Run(ulong budget) => new(ExitReason.Halted);

        public override void RequestExit() { }

        public override void EndSlice() { }

        public override void SetPin(int pin, bool level) { }

        public override void Reset() => (_state, _x64) = (default, default);

        public void GetState(out RiscVState state) => state = _state;

        public void SetState(in RiscVState state) => _state = state;

        public void GetState(out X64State state) => state = _x64;

        public void SetState(in X64State state) => _x64 = state;
    }
}
