using System.Globalization;
using System.Reflection;
using System.Runtime.InteropServices;
using VirtKit.Accel.Kvm;
using VirtKit.Tests.Support;
using VirtKit.X86;
using static Iced.Intel.AssemblerRegisters;

namespace VirtKit.Tests.Kvm;

/// <summary>States that come from anywhere: KVM takes one whole or not at all, and runs on with whatever it took.</summary>
public sealed class KvmStateFuzzTests
{
    private const int Cases = 600, RandomSeed = 20261126;
    private const uint TimeStampCounter = 0x10;

    private static readonly ulong[] Edges =
        [0, 1, 2, 0x7f, 0x80, 0xff, 0x1000, 0xffff, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff, 0x7fff_ffff_ffff, 0x8000_0000_0000, 0xffff_8000_0000_0000, 0x8000_0000_0000_0000, ulong.MaxValue];

    [Theory, InlineData(KvmInterruptController.External), InlineData(KvmInterruptController.Kernel)]
    public void SetState_AnyFields_IsTakenWholeOrRefusedWhole(KvmInterruptController controller)
    {
        using var guest = new X64Guest(Architecture, new KvmOptions { InterruptController = controller });
        X64State[] starts = [.. ((int[])[16, 32, 64]).Select(bits => guest.Load(bits, a => a.hlt()).Vcpu.GetState<X64State>())];
        var random = new Random(RandomSeed);
        int taken = 0, refused = 0;
        Func<ulong, bool> goesOn = Soak.While(done => done < Cases);
        for (ulong i = 0; goesOn(i); i++)
        {
            X64State state = starts[random.Next(starts.Length)];
            Mutate(ref state, random);
            string before = Describe(guest.Vcpu.GetState<X64State>());
            try
            {
                guest.Vcpu.SetState(in state);
                taken++;
            }
            catch (ArgumentException e)
            {
                refused++;
                Assert.Equal(before, Describe(guest.Vcpu.GetState<X64State>()));
                Assert.Matches("^([A-Z][A-Za-z0-9.]* is 0x|KVM refuses the state's )", e.Message);
            }

            // A guest in such a state may do anything but harm the host; a processor that refuses it was asked for too much.
            VcpuExit exit = guest.Vcpu.Run(1);
            Assert.False(exit.Reason == ExitReason.InternalError, $"case {i}: {exit}");
            Assert.False(exit.Detail?.Contains("refuses the vCPU's state", StringComparison.Ordinal) ?? false, $"case {i}: {exit}");
            if (i % 100 == 0)
                RunOn(guest);
        }

        RunOn(guest);
        Assert.True(taken > 50 && refused > 50, $"{taken} taken, {refused} refused");
    }

    [Fact]
    public void SetState_AnyGeneralRegisters_AreTakenOrRefused()
    {
        using var guest = new X64Guest(Architecture);
        var random = new Random(RandomSeed);
        for (int i = 0; i < 500; i++)
        {
            guest.Load(i % 2 == 0 ? 64 : 32, a => a.hlt());
            X64Registers registers = guest.Registers, before = registers;
            Span<ulong> fields = MemoryMarshal.Cast<X64Registers, ulong>(new Span<X64Registers>(ref registers));
            for (int j = 0; j < 3; j++)
                fields[random.Next(fields.Length)] = Value(random);
            try
            {
                guest.Registers = registers;
                Assert.Equal(registers with { Rflags = 0 }, guest.Registers with { Rflags = 0 });
            }
            catch (ArgumentException)
            {
                Assert.Equal(before, guest.Registers);
            }

            VcpuExit exit = guest.Vcpu.Run(1);
            Assert.False(exit.Reason == ExitReason.InternalError, $"case {i}: {exit}");
        }

        RunOn(guest);
    }

    /// <summary>A value of an MSR that the kernel does not take: the refusal names it, and no part of the state is set.</summary>
    [Fact]
    public void SetState_ValueThatAnMsrCannotHold_IsRefusedByItsNumber()
    {
        const uint longModeEntry = 0xc000_0082;
        using var guest = new X64Guest();
        guest.Load(64, a => a.hlt());
        string before = Describe(guest.Vcpu.GetState<X64State>());
        X64State state = guest.Vcpu.GetState<X64State>();
        Assert.NotNull(state.FindMsr(longModeEntry));
        state.SetMsr(0xc000_0102, 0x1234);
        state.SetMsr(longModeEntry, 1ul << 63);
        state.Registers.Rbx = 1;
        ArgumentException error = Assert.Throws<ArgumentException>(() => guest.Vcpu.SetState(in state));
        Assert.Contains("Msrs[0xc0000082] = 0x8000000000000000", error.Message, StringComparison.Ordinal);
        Assert.Equal(before, Describe(guest.Vcpu.GetState<X64State>()));
        // One that no processor has, and those that are fields of their own, are passed over.
        state.SetMsr(longModeEntry, 0x1000);
        state.SetMsr(0x1234_5678, 5);
        state.SetMsr(0xc000_0080, 0);
        guest.Vcpu.SetState(in state);
        Assert.Equal((0x1234ul, 0x1000ul, 0x500ul), (guest.Vcpu.GetState<X64State>().FindMsr(0xc000_0102), guest.Vcpu.GetState<X64State>().FindMsr(longModeEntry), guest.Vcpu.GetState<X64State>().Efer & 0x500));
    }

    /// <summary>The state as text, a line a field, without what goes on by itself.</summary>
    public static string Describe(X64State state)
    {
        var lines = new List<string>();
        Add("", state);
        lines.Add($"Dr {string.Join(' ', ((ReadOnlySpan<ulong>)state.Dr).ToArray())}");
        lines.Add($"Xsave {Convert.ToHexString(state.Xsave)}");
        for (int i = 0; i < 1024; i += 16)
        {
            // The timer's current count goes on, and the processor's priority follows from the task's and what is in service.
            if (i is not (0x390 or 0xa0))
                lines.Add($"Lapic {i:x} {Convert.ToHexString(state.Lapic[i..(i + 16)])}");
        }

        lines.AddRange(((ReadOnlySpan<X64Msr>)state.Msrs)[..state.MsrCount].ToArray().Where(m => m.Index != TimeStampCounter).Select(m => $"MSR {m.Index:x} {m.Value:x}"));
        return string.Join('\n', lines);

        void Add(string name, object value)
        {
            if (value is IFormattable number)
                lines.Add($"{name} {number.ToString(value is Enum ? "G" : "x", CultureInfo.InvariantCulture)}");
            else if (value is bool bit)
                lines.Add($"{name} {bit}");
            else
                Array.ForEach(value.GetType().GetFields(BindingFlags.Instance | BindingFlags.Public), field => Add($"{name}.{field.Name}", field.GetValue(value)!));
        }
    }

    /// <summary>Changes a few fields: whole words to edges, single bytes and bits, an MSR, or a whole run of bytes.</summary>
    private static void Mutate(ref X64State state, Random random)
    {
        Span<byte> bytes = MemoryMarshal.AsBytes(new Span<X64State>(ref state));
        int front = bytes.Length - X64State.MsrCapacity * 16, msrs = state.MsrCount;
        for (int i = random.Next(1, 4); i > 0; i--)
        {
            // Half of the changes hit the registers in front of the floating-point area, which is by far the longest field.
            int at = random.Next(random.Next(2) == 0 ? 700 : front);
            switch (random.Next(5))
            {
                case 0:
                    MemoryMarshal.Write(bytes[(at & ~7)..], Value(random));
                    break;
                case 1:
                    bytes[at] = (byte)random.Next();
                    break;
                case 2:
                    bytes[at] ^= (byte)(1 << random.Next(8));
                    break;
                case 3 when msrs is > 0 and <= X64State.MsrCapacity:
                    int index = random.Next(msrs);
                    state.Msrs[index] = state.Msrs[index] with { Value = Value(random) };
                    break;
                default:
                    random.NextBytes(bytes.Slice(at, Math.Min(random.Next(1, 40), bytes.Length - at)));
                    break;
            }
        }
    }

    private static ulong Value(Random random) => random.Next(3) == 0 ? (ulong)random.NextInt64() : Edges[random.Next(Edges.Length)] + (ulong)random.Next(-1, 2);

    /// <summary>The end of a guest that does what it is asked: an OUT leaves for the host whoever has the interrupt controllers.</summary>
    private static X64Architecture Architecture => new() { HypercallPort = 0xe8 };

    /// <summary>The vCPU still does what a guest asks.</summary>
    private static void RunOn(X64Guest guest)
    {
        guest.Vcpu.Reset();
        guest.Load(64, a =>
        {
            a.mov(ebx, 0x1234);
            a.@out(0xe8, al);
        });
        Assert.Equal(ExitReason.Hypercall, guest.Run().Reason);
        Assert.Equal(0x1234ul, guest.Registers.Rbx);
    }
}
