using System.Diagnostics.CodeAnalysis;
using VirtKit.Engines;
using VirtKit.Execution;
using VirtKit.State;

namespace VirtKit;

/// <summary>The engines of a machine: it owns its CPUs, and one engine at a time runs them.</summary>
public sealed partial class Machine
{
    /// <summary>Held while an engine is made ready or let go of; never while one runs.</summary>
    private readonly Lock _engineGate = new();
    private AttachedEngine _attached;

    /// <summary>The engine that ran before: a machine that goes to and fro between two keeps what both have made of its code.</summary>
    private AttachedEngine? _previous;

    /// <summary>The engine that is to run from the next slice on.</summary>
    private AttachedEngine? _next;
    private bool _released;

    /// <summary>The engine that runs the guest.</summary>
    public ExecutionEngine Engine => EngineSelection.Engine;

    /// <summary>Why this engine runs the guest, and why not a faster one.</summary>
    public EngineSelection EngineSelection => Volatile.Read(ref _attached).Selection;

    /// <summary>What the engine keeps for this machine; an engine's own type offers what it has beyond the SPI (a dirty log, doorbells).</summary>
    public EnginePartition Partition => Volatile.Read(ref _attached).Partition;

    /// <summary>What the engines are made for.</summary>
    internal PartitionContext Context { get; }

    /// <summary>Lets another engine run the guest from here on: between two instructions, so that the guest sees nothing of it. A machine that stands changes at once; one that
    /// runs, also where a callback of it calls this, at the end of the slice under way.</summary>
    /// <remarks>
    /// <para>Registers, pins, counters, timers and the software TLBs stay. What an engine has made of the guest's code is kept while it is the current or the previous one, and
    /// compared with the code before it is used again, as behind an instruction fence. With <see cref="VcpuScheduling.Deterministic"/> a run that changes engines ends in
    /// the same bytes as one that does not, unless the guest changes code and omits its fence.</para>
    /// <para>A policy is a timer: a callback of the <see cref="Clock"/> that calls this, with either scheduling. The last call wins. Thread-safe.</para>
    /// </remarks>
    /// <param name="engine">The engine: the interpreter or the translator in place of one of the two, another <c>KvmEngine</c> in place of one. The current one changes nothing.</param>
    /// <exception cref="VirtKitException">The engine cannot run this machine, or not take the guest over from the current one: the message says why, and nothing has changed.
    /// Where the machine runs and the guest's state is at fault, the run ends with <see cref="ExitReason.InternalError"/> instead.</exception>
    /// <exception cref="ObjectDisposedException">The machine has been disposed of.</exception>
    /// <example>
    /// <code>
    /// machine.Run(budget: 1_000_000);
    /// machine.SwitchEngine(new VirtKit.Interpreter.InterpreterEngine());
    /// machine.Run();
    /// </code>
    /// </example>
    public void SwitchEngine(ExecutionEngine engine)
    {
        ArgumentNullException.ThrowIfNull(engine);
        lock (_engineGate)
        {
            ObjectDisposedException.ThrowIf(_released, this);
            AttachedEngine? known = ReferenceEquals(engine, _attached.Engine) ? _attached
                : ReferenceEquals(engine, _previous?.Engine) ? _previous
                : ReferenceEquals(engine, _next?.Engine) ? _next : null;
            AttachedEngine next = known ?? CreateExchangeable(engine);
            if (!ReferenceEquals(next, _next))
                LetGo(_next);
            Volatile.Write(ref _next, next);
        }

        if (_gate.TryEnter("Machine.SwitchEngine"))
        {
            try
            {
                AttachRequested();
            }
            finally
            {
                _gate.Leave();
            }
        }
        else
        {
            Interrupt(except: null);
        }
    }

    /// <summary>Attaches the engine that <see cref="SwitchEngine"/> asked for, within a run of the current thread's between two slices. One that cannot take the guest over ends the
    /// run, which the former engine can go on with.</summary>
    internal void AttachNext()
    {
        if (_between.IsEmpty && Volatile.Read(ref _next) is null)
            return;
        bool isPaused = _scheduler.Pause();
        try
        {
            ServeBetweenSlices();
            AttachRequested();
        }
        catch (VirtKitException e)
        {
            RequestStop(Failure.Exit("The engine could not be exchanged", e));
        }
        finally
        {
            if (isPaused)
                _scheduler.Resume();
        }
    }

    /// <exception cref="VirtKitException">The engine cannot take the guest over. The former one is attached.</exception>
    private void AttachRequested()
    {
        if (Volatile.Read(ref _next) is null)
            return;
        lock (_engineGate)
        {
            AttachedEngine? next = _next;
            Volatile.Write(ref _next, null);
            if (next is null || ReferenceEquals(next, _attached))
                return;
            AttachedEngine? older = ReferenceEquals(_previous, next) ? null : _previous;
            AttachedEngine former = _attached;
            if (former.IsSoftware && next.IsSoftware)
                Attach(next);
            else
                MoveTo(next);
            _previous = former;
            LetGo(older);
        }
    }

    /// <summary>Attaches an engine that keeps the state of its vCPUs itself, or comes after one that does: the state goes over as it would be saved.</summary>
    /// <exception cref="VirtKitException">The engine cannot be in the guest's state. The former one is attached.</exception>
    private void MoveTo(AttachedEngine next)
    {
        AttachedEngine former = _attached;
        _gate.Lend();
        try
        {
            var writer = new StateWriter();
            VisitVcpus(writer);
            Attach(next);
            try
            {
                VisitVcpus(new StateReader(writer.Written));
            }
            catch
            {
                Attach(former);
                VisitVcpus(new StateReader(writer.Written));
                LetGo(next);
                throw;
            }
        }
        finally
        {
            _gate.TakeBack();
        }
    }

    private AttachedEngine CreateExchangeable(ExecutionEngine engine)
    {
        var selection = EngineSelection.For(engine, Architecture);
        if (Scheduling == VcpuScheduling.Deterministic && !engine.CountsInstructions)
            throw new VirtKitException($"The engine {engine.Name} does not count instructions, as {nameof(VcpuScheduling)}.{nameof(VcpuScheduling.Deterministic)} demands.");
        if (!IsExchangeable(_attached))
            throw new VirtKitException($"The engine {Engine.Name} keeps the state of its vCPUs itself, and no other engine can take it over.");
        AttachedEngine created = Create(selection);
        if (IsExchangeable(created) && (created.IsSoftware == _attached.IsSoftware || Context.Platform?.StateOf(_attached.Cores[0]) is not null))
            return created;
        created.Dispose();
        throw new VirtKitException($"The engine {engine.Name} keeps the state of its vCPUs itself, and cannot take over a machine's.");
    }

    /// <summary>Whether the engine runs the machine's own CPUs, or hands out their whole state and takes it.</summary>
    private bool IsExchangeable(AttachedEngine engine) => engine.IsSoftware || Context.Platform?.StateOf(engine.Cores[0]) is not null;

    private AttachedEngine Create(EngineSelection selection)
    {
        EnginePartition partition = selection.Engine.CreatePartition(Context);
        var cores = new VcpuCore[_options.VcpuCount];
        var created = new AttachedEngine(selection, partition, cores);
        try
        {
            for (int i = 0; i < cores.Length; i++)
                cores[i] = partition.CreateVcpu(i);
        }
        catch
        {
            created.Dispose();
            throw;
        }

        partition.Gate = _gate;
        return created;
    }

    [MemberNotNull(nameof(_attached))]
    private void Attach(AttachedEngine engine)
    {
        for (int i = 0; i < engine.Cores.Length; i++)
        {
            engine.Cores[i].Attach();
            if (_vcpus[i] is { } vcpu)
                vcpu.Core = engine.Cores[i];
        }

        Volatile.Write(ref _attached, engine);
    }

    /// <summary>Releases an engine that neither runs nor is kept.</summary>
    private void LetGo(AttachedEngine? engine)
    {
        if (engine is not null && !ReferenceEquals(engine, _attached) && !ReferenceEquals(engine, _previous))
            engine.Dispose();
    }

    private void ReleaseEngines()
    {
        lock (_engineGate)
        {
            _released = true;
            AttachedEngine? next = ReferenceEquals(_next, _attached) || ReferenceEquals(_next, _previous) ? null : _next;
            _attached?.Dispose();
            _previous?.Dispose();
            next?.Dispose();
            Context?.SystemIfAny?.Dispose();
            Context?.PlatformIfAny?.Release();
        }
    }

    /// <summary>An engine with what it keeps for this machine.</summary>
    private sealed record AttachedEngine(EngineSelection Selection, EnginePartition Partition, VcpuCore[] Cores) : IDisposable
    {
        public ExecutionEngine Engine => Selection.Engine;

        /// <summary>Whether it runs the machine's own CPUs.</summary>
        public bool IsSoftware => Partition is SoftwarePartition;

        public void Dispose()
        {
            foreach (VcpuCore? core in Cores)
                core?.Dispose();
            Partition.Dispose();
        }
    }
}
