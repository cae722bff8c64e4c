using VirtKit.Engines;
using VirtKit.Execution;
using VirtKit.Interpreter;
using VirtKit.RiscV;

namespace VirtKit.Tests.RiscV;

/// <summary>Fences that harts ask of another (SBI §8), at their timing points.</summary>
public sealed class RemoteFenceTests
{
    /// <summary>The second request comes while the first is being served, when the hart may have looked at its code already.</summary>
    [Fact]
    public void FenceRemotely_WhileTheHartServesAnother_IsServedOnceMore()
    {
        var probe = new SystemProbe();
        using var machine = new Machine(new MachineOptions { Architecture = new RiscVArchitecture(), Engine = probe });
        var system = new RiscVSystem(probe.Context!);
        var engine = new FencedEngine();
        using Hart target = CreateHart(system, 0, engine), requester = CreateHart(system, 1, null);
        target.EnterGuest();
        target.ServeAttention();
        int before = engine.CodeFences;
        Thread? second = null;
        engine.OnCodeBytesChanged = () =>
        {
            if (second is null)
                second = Ask();
        };
        Thread first = Ask();
        while (second is null || first.IsAlive || second.IsAlive)
            target.ServeAttention();
        Assert.Equal(before + 2, engine.CodeFences);

        // A thread that has asked, and waits.
        Thread Ask()
        {
            var thread = new Thread(() => target.FenceRemotely(requester, RemoteFence.Code));
            thread.Start();
            SpinWait.SpinUntil(() => IsAttentionRequested(target));
            return thread;
        }
    }

    private static Hart CreateHart(RiscVSystem system, int id, ICpuEngine? engine)
    {
        var hart = (Hart)system.Cpu(id);
        if (engine is not null)
            hart.Attach(engine, hart.CreateMemory(ContextSize.Detached));
        return hart;
    }

    private static unsafe bool IsAttentionRequested(Hart hart) => Volatile.Read(ref hart.Context->Attention) != 0;

    private sealed class FencedEngine : ICpuEngine
    {
        public Action OnCodeBytesChanged { get; set; } = () => { };

        public int CodeFences { get; private set; }

        public bool HoldsLock => false;

        public void DataMappingChanged()
        {
        }

        public void DataMappingChanged(ulong address)
        {
        }

        public void SpaceChanged(int space)
        {
        }

        public void CodeMappingChanged(int space)
        {
        }

        public void CodeMappingChanged(int space, ulong address)
        {
        }

        public void CodeBytesChanged()
        {
            CodeFences++;
            OnCodeBytesChanged();
        }
    }

    /// <summary>Gives the context that a machine makes its engine's partition with.</summary>
    private sealed class SystemProbe : ExecutionEngine
    {
        private readonly InterpreterEngine _engine = new();

        public override string Name => _engine.Name;

        public PartitionContext? Context { get; private set; }

        public override bool Supports(GuestArchitecture architecture, out string? reason) => _engine.Supports(architecture, out reason);

        public override EnginePartition CreatePartition(PartitionContext context)
        {
            Context = context;
            return _engine.CreatePartition(context);
        }
    }
}
