using System.Diagnostics;
using VirtKit.X86;

namespace VirtKit.Accel.Kvm;

/// <summary>The state of the kernel's PIC, IOAPIC and PIT between its structures and <see cref="X64InterruptChipsState"/>.</summary>
internal static unsafe class KvmChips
{
    private const ulong IoapicAddress = 0xfec0_0000;
    private const uint TicksPerSecond = 1_193_182;

    /// <summary>The kernel's states of a counter's bytes (RW_STATE_*): low, high, both with the low one next, both with the high one next.</summary>
    private const byte Low = 1, High = 2, BothLow = 3, BothHigh = 4;

    public static void Get(KvmDescriptor vm, out X64InterruptChipsState state)
    {
        state = new X64InterruptChipsState
        {
            PrimaryPic = From(GetChip(vm, KvmIrqchip.PicMaster).ChipPic),
            SecondaryPic = From(GetChip(vm, KvmIrqchip.PicSlave).ChipPic),
        };
        KvmIoapicState ioapic = GetChip(vm, KvmIrqchip.Ioapic).ChipIoapic;
        state.IoApic = new X64IoApicState { Index = (byte)ioapic.Ioregsel, Id = (byte)(ioapic.Id & 15), Lines = ioapic.Irr, Irr = ioapic.Irr };
        for (int i = 0; i < 24; i++)
            state.IoApic.Entries[i] = ioapic.Redirtbl[i];
        KvmPitState2 pit = default;
        vm.Call(KvmIoctl.GetPit2, ref pit, "hand out its timer's state");
        state.Pit.SpeakerOn = (pit.Flags & KvmPitState2.SpeakerDataOn) != 0;
        // The kernel keeps the moment on its monotonic clock, which is Stopwatch's.
        long now = Stopwatch.GetTimestamp();
        for (int i = 0; i < 3; i++)
            state.Pit.Counters[i] = From(pit.Channels[i], now);
    }

    public static void Set(KvmDescriptor vm, in X64InterruptChipsState state)
    {
        var pit = new KvmPitState2 { Flags = state.Pit.SpeakerOn ? KvmPitState2.SpeakerDataOn : 0 };
        for (int i = 0; i < 3; i++)
            pit.Channels[i] = To(state.Pit.Counters[i]);
        vm.Call(KvmIoctl.SetPit2, ref pit, "take its timer's state");
        SetChip(vm, new KvmIrqchip { ChipId = KvmIrqchip.PicMaster, ChipPic = To(state.PrimaryPic, 0xf8) });
        SetChip(vm, new KvmIrqchip { ChipId = KvmIrqchip.PicSlave, ChipPic = To(state.SecondaryPic, 0xde) });
        var ioapic = new KvmIoapicState { BaseAddress = IoapicAddress, Ioregsel = state.IoApic.Index, Id = state.IoApic.Id, Irr = state.IoApic.Irr };
        for (int i = 0; i < 24; i++)
            ioapic.Redirtbl[i] = state.IoApic.Entries[i];
        SetChip(vm, new KvmIrqchip { ChipId = KvmIrqchip.Ioapic, ChipIoapic = ioapic });
    }

    private static KvmIrqchip GetChip(KvmDescriptor vm, uint number)
    {
        var chip = new KvmIrqchip { ChipId = number };
        vm.Call(KvmIoctl.GetIrqchip, ref chip, $"hand out the state of interrupt chip {number}");
        return chip;
    }

    private static void SetChip(KvmDescriptor vm, KvmIrqchip chip) => vm.Call(KvmIoctl.SetIrqchip, ref chip, $"take the state of interrupt chip {chip.ChipId}");

    private static X64PicState From(in KvmPicState s) => new()
    {
        Lines = s.LastIrr,
        Irr = s.Irr,
        Isr = s.Isr,
        Imr = s.Imr,
        Elcr = s.Elcr,
        VectorBase = s.IrqBase,
        Highest = (byte)(s.PriorityAdd & 7),
        NextIcw = s.InitState == 0 ? (byte)0 : (byte)(s.InitState + 1),
        TakesIcw4 = s.Init4 != 0,
        AutomaticEoi = s.AutoEoi != 0,
        RotateOnEoi = s.RotateOnAutoEoi != 0,
        SpecialMask = s.SpecialMask != 0,
        SpecialFullyNested = s.SpecialFullyNestedMode != 0,
        ReadsIsr = s.ReadRegSelect != 0,
        Poll = s.Poll != 0,
    };

    private static KvmPicState To(in X64PicState s, byte levelCapable) => new()
    {
        LastIrr = s.Lines,
        Irr = s.Irr,
        Isr = s.Isr,
        Imr = s.Imr,
        Elcr = (byte)(s.Elcr & levelCapable),
        ElcrMask = levelCapable,
        IrqBase = s.VectorBase,
        PriorityAdd = (byte)(s.Highest & 7),
        InitState = s.NextIcw is 0 or > 4 ? (byte)0 : (byte)(s.NextIcw - 1),
        Init4 = Bit(s.TakesIcw4),
        AutoEoi = Bit(s.AutomaticEoi),
        RotateOnAutoEoi = Bit(s.RotateOnEoi),
        SpecialMask = Bit(s.SpecialMask),
        SpecialFullyNestedMode = Bit(s.SpecialFullyNested),
        ReadRegSelect = Bit(s.ReadsIsr),
        Poll = Bit(s.Poll),
    };

    private static X64PitCounter From(in KvmPitChannelState c, long now)
    {
        bool programmed = c.Mode <= 5;
        return new X64PitCounter
        {
            Mode = programmed ? c.Mode : (byte)0,
            Access = c.RwMode is Low or High or BothLow ? c.RwMode : BothLow,
            Status = c.Status,
            LatchBytes = c.CountLatched switch { 0 => 0, BothLow => 2, _ => 1 },
            Latch = c.LatchedCount,
            WrittenLow = c.WriteLatch,
            Bcd = c.Bcd != 0,
            Gate = c.Gate != 0,
            Loaded = programmed && c.Count != 0,
            Triggered = programmed && c.Count != 0 && c.Gate != 0,
            StatusLatched = c.StatusLatched != 0,
            ReadsHigh = c.ReadState == BothHigh || c.CountLatched == BothHigh,
            WritesHigh = c.WriteState == BothHigh,
            Count = c.Count,
            Elapsed = programmed ? (ulong)((UInt128)Math.Max(now - c.CountLoadTime, 0) * TicksPerSecond / (ulong)Stopwatch.Frequency) : 0,
        };
    }

    private static KvmPitChannelState To(in X64PitCounter c) => new()
    {
        Count = c.Count,
        LatchedCount = c.Latch,
        CountLatched = c.LatchBytes switch { 0 => 0, 2 => BothLow, _ => c.Access == BothLow ? BothHigh : c.Access },
        StatusLatched = Bit(c.StatusLatched),
        Status = c.Status,
        ReadState = c.Access == BothLow && c.ReadsHigh ? BothHigh : c.Access,
        WriteState = c.Access == BothLow && c.WritesHigh ? BothHigh : c.Access,
        WriteLatch = c.WrittenLow,
        RwMode = c.Access,
        // A counter without a count must not start; the kernel has no state for one that waits for its first.
        Mode = c.Loaded ? c.Mode : (byte)0xff,
        Bcd = Bit(c.Bcd),
        Gate = Bit(c.Gate),
    };

    private static byte Bit(bool value) => value ? (byte)1 : (byte)0;
}
