using System.Runtime.CompilerServices;
using VirtKit.Interpreter;
using VirtKit.RiscV;
using VirtKit.State;

namespace VirtKit.Tests.State;

/// <summary>The numbers of a machine's inputs.</summary>
public sealed class MachineInputTests
{
    [Fact]
    public void Inputs_OfDevicesThatComeAndGo_KeepABoundedList()
    {
        using var machine = new Machine(new MachineOptions { Architecture = new RiscVArchitecture(), Engine = new InterpreterEngine() });
        MachineInput first = machine.Clock.CreateInput(this, () => { });
        Assert.Same(first, machine.Clock.InputOf(first.Number));
        List<MachineInput> kept = [first];
        for (int round = 0; round < 10; round++)
        {
            kept.Add(Come(machine, 1000));
            GC.Collect();
            GC.WaitForPendingFinalizers();
            // While a log is written, none is given again.
            machine.StartRecording();
            int before = machine.Clock.InputCount;
            MachineInput recorded = machine.Clock.CreateInput(this, () => { });
            Assert.Equal(before, recorded.Number);
            kept.Add(recorded);
            machine.StopRecording().Dispose();
        }

        Assert.InRange(machine.Clock.InputCount, MachineClock.KeptNumbers, 3 * MachineClock.KeptNumbers);
        Assert.Equal(kept, kept.Select(input => machine.Clock.InputOf(input.Number)));
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private MachineInput Come(Machine machine, int count)
    {
        MachineInput? last = null;
        for (int i = 0; i < count; i++)
            last = machine.Clock.CreateInput(this, () => { });
        return last!;
    }
}
