using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using VirtKit.Accel.Translator;
using VirtKit.Accel.Translator.Checking;
using VirtKit.RiscV;
using VirtKit.Tests.RiscV.Support;
using VirtKit.Tests.Support;

namespace VirtKit.Tests.Translator;

/// <summary>What a cross-check says when translated code does not do what it should.</summary>
public sealed class CrossCheckTests
{
    private const string Program = """
        addi a0, a0, 0x123
        .half 0x0485 # c.addi s1, 1
        sd a0, 0(sp)
        j away
        away: nop
        """;

    /// <summary>The translation is damaged as a bug of the emitter would: the addend of an addition becomes another.</summary>
    [Fact]
    public void Difference_OfADamagedTranslation_ShowsBothStatesAndBothCodes()
    {
        VcpuExit exit = RunDamaged();
        Assert.Equal(ExitReason.InternalError, exit.Reason);
        string[] parts = exit.Detail!.Split("\nHost code at ");
        // The host's code is the emitter's affair, and has golden files of its own.
        Snapshot.Verify(parts[0]);
        string[] lines = parts[1].TrimEnd().Split('\n');
        Assert.Matches("^0x[0-9a-f]+$", lines[0]);
        Assert.All(lines[1..], line => Assert.Matches("^  [0-9a-f]+  [a-z]+[0-9]* *.*$", line));
        Assert.Contains(lines, line => line.Contains("124h", StringComparison.Ordinal));
        Assert.Contains(lines, line => line.EndsWith("Unlinked", StringComparison.Ordinal));
        Assert.DoesNotContain(lines, line => line.Contains("(bad)", StringComparison.Ordinal));
    }

    [Fact]
    public void Difference_InAnyByteOfAnyField_HasTheFieldsName()
    {
        RiscVState expected = default;
        string nothing = StateText.Of(expected);
        for (int i = 0; i < Unsafe.SizeOf<RiscVState>(); i++)
        {
            RiscVState actual = default;
            MemoryMarshal.AsBytes(new Span<RiscVState>(ref actual))[i] = 1;
            string? difference = StateText.Difference(expected, actual);
            Assert.NotNull(difference);
            Assert.True(difference.StartsWith("byte ", StringComparison.Ordinal) == (StateText.Of(actual) == nothing), difference);
        }
    }

    private static VcpuExit RunDamaged()
    {
        Translators.Require();
        var engine = new OpenTranslator(new TranslatorOptions { CrossCheck = true });
        using var machine = new Machine(new MachineOptions { Architecture = new RiscVArchitecture(), Engine = engine });
        machine.Memory.MapRam(new Gpa(GuestCode.Start), 0x10_0000);
        machine.Memory.Write(new Gpa(GuestCode.Start), RiscVAssembler.Assemble(Program, GuestCode.Start));
        RiscVState state = machine.Vcpus[0].GetState<RiscVState>();
        state.Pc = GuestCode.Start;
        state.X[2] = GuestCode.Start + 0x1000;
        state.X[10] = 1;
        machine.Vcpus[0].SetState(state);
        Assert.Equal(ExitReason.BudgetExhausted, machine.Vcpus[0].Run(4).Reason);
        Damage(engine.Partition!.Cache, 0x123, 0x124);
        machine.Vcpus[0].SetState(state);
        return machine.Vcpus[0].Run(4);
    }

    /// <summary>Overwrites a constant that stands once in translated code.</summary>
    private static unsafe void Damage(TranslationCache cache, int from, int to)
    {
        var code = new Span<byte>(cache.Memory.Writable, 0x4000);
        Span<byte> wanted = BitConverter.GetBytes(from);
        int place = code.IndexOf(wanted);
        Assert.True(place >= 0 && code[(place + 1)..].IndexOf(wanted) < 0, $"{from:x} does not stand once in the code.");
        BitConverter.TryWriteBytes(code[place..], to);
    }
}
