using System.Collections.Concurrent;
using VirtKit.Engines;
using VirtKit.State;

namespace VirtKit;

/// <summary>The state of a machine but for its memory: the parts in an order in which each finds what it builds on.</summary>
public sealed partial class Machine
{
    /// <summary>The part of exits that the host has not been given.</summary>
    internal const string ExitsPart = "exits";

    /// <summary>What other threads want to be done between two slices of the run under way.</summary>
    private readonly ConcurrentQueue<BetweenSlices> _between = [];

    /// <summary>Captures the whole state of the machine: vCPUs, memory, devices with what waits in their backends, time, timers and whose turn it is. A machine that runs is
    /// captured between two instructions and goes on; the guest sees nothing of it, and neither does <see cref="Run(CancellationToken)"/>.</summary>
    /// <returns>The state. The caller disposes of it; machines that were restored from it do not need it any more.</returns>
    /// <exception cref="InvalidOperationException">Called from a callback of the machine, or while another operation owns it.</exception>
    /// <exception cref="ObjectDisposedException">The machine has been disposed of.</exception>
    /// <exception cref="VirtKitException">A device or the engine cannot be saved, which the message names; or the host has no memory for the content.</exception>
    /// <example>
    /// Many machines from one that is prepared:
    /// <code>
    /// using var prepared = machine.Capture();
    /// using var fork = new RiscVVirt(new RiscVVirtOptions());
    /// fork.Machine.Restore(prepared);
    /// fork.Machine.Run(budget: 1_000_000);
    /// </code>
    /// </example>
    public MachineSnapshot Capture()
    {
        MachineSnapshot? snapshot = null;
        DoBetweenSlices("Machine.Capture", () => snapshot = MachineSnapshot.Of(this, sharesCode: true));
        return snapshot!;
    }

    /// <summary>Makes the machine the one that was captured, as it was then, and tells the devices that are an <see cref="IRestoreObserver"/>. Memory is shared with the snapshot until
    /// either is written to (copy on write), on hosts that can.</summary>
    /// <param name="snapshot">The state, of a machine that was composed like this one: architecture and extensions, vCPUs, memory and devices at their addresses. The engine may be
    /// another one. Disks that are files are as they are now.</param>
    /// <exception cref="InvalidSnapshotException">It is of a machine composed otherwise, or a value in it is damaged. Nothing has changed.</exception>
    /// <exception cref="InvalidOperationException">The machine is running, or another operation owns it.</exception>
    /// <exception cref="ObjectDisposedException">The machine or the snapshot has been disposed of.</exception>
    /// <exception cref="VirtKitException">The machine cannot be restored, or the host cannot map the memory.</exception>
    public void Restore(MachineSnapshot snapshot)
    {
        ArgumentNullException.ThrowIfNull(snapshot);
        using MachineHold hold = Hold("Machine.Restore");
        RefuseWhileRecorded("Machine.Restore");
        snapshot.ApplyTo(this, RestoreKind.Live);
        TellRestored();
    }

    /// <summary>Passes over the state of everything but memory. The machine stands.</summary>
    /// <exception cref="InvalidSnapshotException">What is read is not of a machine composed as this one. Parts before the one that is named have changed.</exception>
    /// <exception cref="VirtKitException">A part cannot be saved: the message names it.</exception>
    internal void Visit(StateVisitor visitor)
    {
        using MachineHold hold = Hold("Machine.Visit");
        VisitOwned(visitor);
    }

    /// <summary>As <see cref="Visit(StateVisitor)"/>, for an owner of the machine.</summary>
    internal void VisitOwned(StateVisitor visitor)
    {
        _gate.Lend();
        try
        {
            VisitParts(visitor);
        }
        finally
        {
            _gate.TakeBack();
        }
    }

    /// <summary>Tells the devices that ask for it; what they do to lines and timers is the owner's doing.</summary>
    private void TellRestored()
    {
        _gate.Lend();
        try
        {
            foreach (MemoryRegion region in Memory.Regions.Concat(Ports?.Regions ?? []))
            {
                if (region.Device is not IRestoreObserver observer)
                    continue;
                lock (region.Device)
                    observer.OnRestored();
            }
        }
        finally
        {
            _gate.TakeBack();
        }
    }

    /// <summary>Does what other threads have asked for, within a run of the current thread's between two slices.</summary>
    private void ServeBetweenSlices()
    {
        while (_between.TryDequeue(out BetweenSlices? asked))
            asked.Do();
    }

    /// <summary>Does something while no vCPU runs: now, or between two slices of the run under way, which is waited for.</summary>
    private void DoBetweenSlices(string operation, Action action)
    {
        BetweenSlices? asked = null;
        while (!_gate.TryEnter(operation))
        {
            if (_gate.IsInside)
                throw new InvalidOperationException($"{operation} was called from a callback of the machine, which would wait for itself.");
            if (asked is null)
                _between.Enqueue(asked = new BetweenSlices(action));
            Interrupt(except: null);
            // The run may end, and leave it undone: then it is done here.
            if (asked.Wait(Patience))
                return;
        }

        try
        {
            if (asked is null)
                action();
            else
                ServeBetweenSlices();
        }
        finally
        {
            _gate.Leave();
        }

        asked?.Wait(Timeout.InfiniteTimeSpan);
    }

    private void VisitParts(StateVisitor visitor)
    {
        if (!visitor.IsReading || !IsReplaying)
            _scheduler.Drain();
        int version = visitor.Version(2);
        visitor.Part("time", new Passed(_scheduler.VisitTime));
        IGuestPlatform? platform = Context.Platform;
        if (platform is not null)
            visitor.Part("platform", new Passed(platform.Visit));
        foreach (MemoryRegion region in Memory.Regions.Concat(Ports?.Regions ?? []))
        {
            if (region.Device is { } device && platform?.Holds(device) != true)
                Visit(visitor, region, device);
        }

        // What devices have set pins to while they were restored is replaced.
        if (_attached.IsSoftware)
            VisitVcpus(visitor);
        visitor.Part("schedule", new Passed(_scheduler.VisitSchedule));
        // The interrupt chips of an engine have no timers of ours: where models take their state, they set theirs anew.
        if (!_attached.IsSoftware)
            VisitVcpus(visitor);
        if (version >= 2)
            visitor.Part(ExitsPart, new Passed(VisitExits));
        else
            ForgetExits();
    }

    /// <summary>Passes over the exits that the host has not been given yet.</summary>
    private void VisitExits(StateVisitor visitor)
    {
        VcpuExit? stop = Volatile.Read(ref _stop)?.Exit;
        VcpuExit?[] exits = [.. _vcpus.Select(vcpu => vcpu.UndeliveredExit)];
        SavedExit.Visit(visitor, "machine", ref stop);
        for (int i = 0; i < exits.Length; i++)
            SavedExit.Visit(visitor, $"vcpu{i}", ref exits[i]);
        if (!visitor.IsReading)
            return;
        ForgetExits();
        Volatile.Write(ref _stop, stop is { } exit ? StopRequest.Of(exit) : null);
        for (int i = 0; i < exits.Length; i++)
            _vcpus[i].UndeliveredExit = exits[i];
        _undeliveredExits = exits.Count(undelivered => undelivered is not null);
    }

    private void ForgetExits()
    {
        _undeliveredExits = 0;
        foreach (Vcpu vcpu in _vcpus)
            vcpu.ForgetExits();
        Volatile.Write(ref _stop, null);
    }

    /// <summary>Passes over the vCPUs, and what the guest's chips hold of their interrupts.</summary>
    private void VisitVcpus(StateVisitor visitor)
    {
        for (int i = 0; i < _vcpus.Length; i++)
            visitor.Part($"vcpu{i}", StateOf(_attached.Cores[i], i));
        Context.Platform?.VisitChips(visitor, Partition);
    }

    /// <summary>The state of a vCPU: the machine's own CPU's, or what the engine that keeps it hands out.</summary>
    private ISnapshotable StateOf(VcpuCore core, int index) => Context.SystemIfAny?.Cpu(index) ?? Context.Platform?.StateOf(core)
        ?? throw new VirtKitException($"The vCPUs of the engine {Engine.Name} cannot be saved: it hands out no state of {Architecture.Name}.");

    private static void Visit(StateVisitor visitor, MemoryRegion region, IDevice device)
    {
        if (device is not ISnapshotable snapshotable)
            throw new VirtKitException($"The device {device.Window.Name} at {region.Start} cannot be saved: it is no {nameof(ISnapshotable)}.");
        lock (device)
            visitor.Part($"{device.Window.Name} {region.Start}", snapshotable);
    }

    /// <summary>How long to wait for a run before looking whether it has ended.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromMilliseconds(20);

    /// <summary>What another thread waits for.</summary>
    private sealed class BetweenSlices(Action action)
    {
        private readonly TaskCompletionSource _done = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public void Do()
        {
            try
            {
                action();
                _done.SetResult();
            }
            catch (Exception e)
            {
                _done.SetException(e);
            }
        }

        /// <returns>Whether it is done; what it threw is thrown here.</returns>
        public bool Wait(TimeSpan limit)
        {
            if (((IAsyncResult)_done.Task).AsyncWaitHandle.WaitOne(limit))
            {
                _done.Task.GetAwaiter().GetResult();
                return true;
            }

            return false;
        }
    }

    /// <summary>A part that has no object of its own.</summary>
    private sealed class Passed(Action<StateVisitor> visit) : ISnapshotable
    {
        public void Visit(StateVisitor visitor) => visit(visitor);
    }
}
