using System.Runtime.InteropServices;
using VirtKit.Accel.Kvm;
using VirtKit.X86;
using static Iced.Intel.AssemblerRegisters;

namespace VirtKit.Tests.Kvm;

/// <summary>Every field of a vCPU's state goes into the kernel and comes out again.</summary>
public sealed class KvmStateRoundTripTests
{
    private const uint TimeStampCounter = 0x10;

    [Theory, InlineData(false), InlineData(true)]
    public void State_EveryField_ComesBackAsItWasSet(bool exception)
    {
        using var guest = new X64Guest(options: new KvmOptions { InterruptController = KvmInterruptController.Kernel });
        guest.Load(64, a => a.hlt());
        X64State state = guest.Vcpu.GetState<X64State>();
        Fill(ref state, ((KvmPartition)guest.Machine.Partition).Cpuid[0], exception);
        guest.Vcpu.SetState(in state);
        X64State copy = guest.Vcpu.GetState<X64State>();
        Assert.Equal(KvmStateFuzzTests.Describe(state), KvmStateFuzzTests.Describe(copy));
        Assert.Equal(state.Lapic[0xa0], copy.Lapic[0xa0]);
        Assert.True(copy.FindMsr(TimeStampCounter) >= state.FindMsr(TimeStampCounter));
    }

    /// <summary>Gives every field a value of its own, as far as a processor can have it.</summary>
    private static void Fill(ref X64State state, CpuidTable cpuid, bool exception)
    {
        Span<ulong> registers = MemoryMarshal.Cast<X64Registers, ulong>(new Span<X64Registers>(ref state.Registers));
        for (int i = 0; i < registers.Length; i++)
            registers[i] = 0x1111_1111_1111ul * (ulong)(i + 1) & 0x7fff_ffff_ffff;
        state.Registers.Rflags = 0x0024_0ad7;
        state.Fs = state.Fs with { Base = 0x1234_5000 };
        state.Gs = state.Gs with { Base = 0xffff_8000_0000_1000 };
        state.Es = state.Es with { Selector = 0x18, Type = 1, Available = true };
        state.Tr = new X64Segment { Selector = 0x28, Base = 0x9_0000, Limit = 0x67, Type = 0xb, Present = true };
        state.Ldtr = new X64Segment { Selector = 0x30, Base = 0x9_1000, Limit = 0xff, Type = 2, Present = true };
        state.Gdtr = new X64DescriptorTable { Base = 0xffff_8000_0009_2000, Limit = 0x7f };
        state.Idtr = new X64DescriptorTable { Base = 0x9_3000, Limit = 0xfff };
        (state.Cr2, state.Cr8, state.Efer) = (0x7fff_1234_5678, 5, state.Efer | 0x801);
        (state.Dr6, state.Dr7) = (0xffff_0ff1, 0x455);
        for (int i = 0; i < 4; i++)
            state.Dr[i] = 0x10_0000ul + (ulong)i;

        // The legacy area's x87 and SSE registers, and AVX's upper halves, with the bits that say that they are in use.
        bool avx = cpuid.Has("avx");
        for (int i = 0; i < 8; i++)
            state.Xsave[(32 + i * 16)..][..10].Fill((byte)(0x10 + i));
        for (int i = 160; i < 416; i++)
            state.Xsave[i] = (byte)i;
        BitConverter.TryWriteBytes(state.Xsave, (ushort)0x27f);
        BitConverter.TryWriteBytes(state.Xsave[24..28], 0x1fa0u);
        state.Xsave[512] = (byte)(avx ? 7 : 3);
        if (avx)
        {
            state.Xcr0 = 7;
            for (int i = 576; i < 832; i++)
                state.Xsave[i] = (byte)(i ^ 0x55);
        }

        // Task and processor priority, logical destination, two vector table entries, a request, the timer.
        foreach ((int offset, uint value) in (ReadOnlySpan<(int, uint)>)[(0x80, 0x50), (0xa0, 0x50), (0xd0, 0x0200_0000), (0xf0, 0x1ef), (0x320, 0x2_0041), (0x350, 0x1_0700), (0x210, 1 << 21), (0x3e0, 0xb), (0x310, 0x0700_0000)])
            BitConverter.TryWriteBytes(state.Lapic[offset..], value);
        state.Activity = X64Activity.Halted;
        state.Events = new X64Events { NmiPending = true, NmiMasked = true, InterruptShadow = 2 };
        if (exception)
            state.Events = state.Events with { ExceptionInjected = true, ExceptionVector = 14, ExceptionHasErrorCode = true, ExceptionErrorCode = 6 };
        else
            state.Events = state.Events with { InterruptInjected = true, InterruptVector = 0x41 };
        foreach ((uint msr, ulong value) in (ReadOnlySpan<(uint, ulong)>)
        [
            (0x174, 8), (0x175, 0x1_2000), (0x176, 0x1_3000), (0x277, 0x0007_0406_0007_0400), (0xc000_0081, 0x0023_0010_0000_0000), (0xc000_0082, 0xffff_8000_0000_2000),
            (0xc000_0083, 0xffff_8000_0000_3000), (0xc000_0084, 0x4_7700), (0xc000_0102, 0x7fff_0000_1000), (0xc000_0103, 7),
        ])
        {
            if (state.FindMsr(msr) is not null)
                state.SetMsr(msr, value);
        }
    }
}
