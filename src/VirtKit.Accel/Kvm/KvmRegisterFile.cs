using System.Globalization;
using System.Runtime.CompilerServices;
using VirtKit.X86;

namespace VirtKit.Accel.Kvm;

/// <summary>A vCPU's state between the kernel's structures and <see cref="X64State"/>.</summary>
internal sealed unsafe class KvmRegisterFile
{
    private readonly KvmDescriptor _vcpu;
    private readonly bool _hasXsave2;
    private readonly bool _hasXcrs;
    private readonly bool _hasLapic;
    private readonly int _xsaveSize;
    private readonly KvmSavedMsrs _msrs;

    public KvmRegisterFile(KvmDescriptor vcpu, KvmDescriptor vm, KvmSystem system, uint[] msrs, bool hasLapic)
    {
        _vcpu = vcpu;
        _msrs = new KvmSavedMsrs(vcpu, msrs);
        _hasLapic = hasLapic;
        _hasXcrs = system.Check(KvmCap.Xcrs) > 0;
        _xsaveSize = vm.TryCall(KvmIoctl.CheckExtension, (nint)KvmCap.Xsave2);
        _hasXsave2 = _xsaveSize >= sizeof(X64State.XsaveArea);
    }

    public void Get(out X64Registers registers)
    {
        KvmRegs regs = default;
        _vcpu.Call(KvmIoctl.GetRegs, ref regs, "hand out registers");
        // SAFETY: both structures hold the same registers in the same order; a test compares the offsets.
        registers = Unsafe.BitCast<KvmRegs, X64Registers>(regs);
    }

    public void Set(in X64Registers registers)
    {
        KvmRegs regs = Unsafe.BitCast<X64Registers, KvmRegs>(registers);
        _vcpu.Call(KvmIoctl.SetRegs, ref regs, "take registers");
    }

    public void Get(out X64State state)
    {
        state = default;
        state.Activity = GetActivity();
        Get(out state.Registers);
        GetSystemRegisters(ref state);
        GetFloatingPoint(ref state);
        KvmDebugregs debug = default;
        _vcpu.Call(KvmIoctl.GetDebugregs, ref debug, "hand out debug registers");
        for (int i = 0; i < 4; i++)
            state.Dr[i] = debug.Db[i];
        (state.Dr6, state.Dr7) = (debug.Dr6, debug.Dr7);
        GetEvents(ref state);
        _msrs.Get(ref state);
        if (_hasLapic)
            _vcpu.Call(KvmIoctl.GetLapic, ref state.Lapic, "hand out the local APIC");
    }

    /// <summary>Sets the whole state, part after part: where the kernel refuses one, those before it are set.</summary>
    /// <exception cref="ArgumentException">The kernel refuses a part; the message names it.</exception>
    public void Set(in X64State state)
    {
        // What waits was for the state that ends here.
        if (_hasLapic)
            _ = GetActivity();
        SetSystemRegisters(in state);
        Set(in state.Registers);
        SetFloatingPoint(in state);
        SetDebugRegisters(in state);
        if (_hasLapic)
        {
            X64State.LapicPage lapic = state.Lapic;
            Require(_vcpu.TryCall(KvmIoctl.SetLapic, ref lapic), "Lapic");
        }

        // After the local APIC: its timer takes a deadline only in that mode.
        (int error, X64Msr refused) = _msrs.Set(in state);
        Require(error, error < 0 ? string.Create(CultureInfo.InvariantCulture, $"Msrs[0x{refused.Index:x}] = 0x{refused.Value:x}") : "");
        if (_hasLapic)
        {
            KvmMpState activity = state.Activity switch
            {
                X64Activity.Uninitialized => KvmMpState.Uninitialized,
                X64Activity.WaitForSipi => KvmMpState.InitReceived,
                X64Activity.Halted => KvmMpState.Halted,
                _ => KvmMpState.Runnable,
            };
            Require(_vcpu.TryCall(KvmIoctl.SetMpState, ref activity), "Activity");
        }

        SetEvents(in state);
    }

    /// <summary>Sets what INIT and start-up messages change.</summary>
    public void SetProcessor(in X64State state)
    {
        SetSystemRegisters(in state);
        Set(in state.Registers);
        SetDebugRegisters(in state);
        SetEvents(in state);
    }

    private static void Require(int result, string part)
    {
        if (result < 0)
            throw new ArgumentException($"KVM refuses the state's {part}: {Libc.Message(-result)}.", X64StateRules.Parameter);
    }

    /// <summary>Asks what the processor is doing. The kernel acts on an INIT or start-up message that waits when it is asked: the registers are others afterwards.</summary>
    private X64Activity GetActivity()
    {
        KvmMpState activity = KvmMpState.Runnable;
        _vcpu.Call(KvmIoctl.GetMpState, ref activity, "hand out the activity state");
        return activity switch
        {
            KvmMpState.Uninitialized => X64Activity.Uninitialized,
            KvmMpState.InitReceived or KvmMpState.SipiReceived => X64Activity.WaitForSipi,
            KvmMpState.Halted => X64Activity.Halted,
            _ => X64Activity.Running,
        };
    }

    private void GetSystemRegisters(ref X64State state)
    {
        KvmSregs s = default;
        _vcpu.Call(KvmIoctl.GetSregs, ref s, "hand out system registers");
        (state.Cs, state.Ds, state.Es, state.Fs) = (From(s.Cs), From(s.Ds), From(s.Es), From(s.Fs));
        (state.Gs, state.Ss, state.Tr, state.Ldtr) = (From(s.Gs), From(s.Ss), From(s.Tr), From(s.Ldt));
        state.Gdtr = new X64DescriptorTable { Base = s.Gdt.Base, Limit = s.Gdt.Limit };
        state.Idtr = new X64DescriptorTable { Base = s.Idt.Base, Limit = s.Idt.Limit };
        (state.Cr0, state.Cr2, state.Cr3, state.Cr4, state.Cr8) = (s.Cr0, s.Cr2, s.Cr3, s.Cr4, s.Cr8);
        (state.Efer, state.ApicBase) = (s.Efer, s.ApicBase);
    }

    private void SetSystemRegisters(in X64State state)
    {
        var s = new KvmSregs
        {
            Cs = To(state.Cs),
            Ds = To(state.Ds),
            Es = To(state.Es),
            Fs = To(state.Fs),
            Gs = To(state.Gs),
            Ss = To(state.Ss),
            Tr = To(state.Tr),
            Ldt = To(state.Ldtr),
            Gdt = new KvmDtable { Base = state.Gdtr.Base, Limit = state.Gdtr.Limit },
            Idt = new KvmDtable { Base = state.Idtr.Base, Limit = state.Idtr.Limit },
            Cr0 = state.Cr0,
            Cr2 = state.Cr2,
            Cr3 = state.Cr3,
            Cr4 = state.Cr4,
            Cr8 = state.Cr8,
            Efer = state.Efer,
            ApicBase = state.ApicBase,
        };
        Require(_vcpu.TryCall(KvmIoctl.SetSregs, ref s), "segment registers, Cr0 to Cr8, Efer or ApicBase");
    }

    private void SetDebugRegisters(in X64State state)
    {
        var debug = new KvmDebugregs { Dr6 = state.Dr6, Dr7 = state.Dr7 };
        for (int i = 0; i < 4; i++)
            debug.Db[i] = state.Dr[i];
        Require(_vcpu.TryCall(KvmIoctl.SetDebugregs, ref debug), "Dr, Dr6 or Dr7");
    }

    private void GetFloatingPoint(ref X64State state)
    {
        if (_hasXsave2)
        {
            // The kernel's area may be larger than ours where a process has asked for more components.
            byte[]? rented = _xsaveSize > sizeof(X64State.XsaveArea) ? System.Buffers.ArrayPool<byte>.Shared.Rent(_xsaveSize) : null;
            Span<byte> area = rented ?? (Span<byte>)state.Xsave;
            fixed (byte* pointer = area)
                _vcpu.Call(KvmIoctl.GetXsave2, (nint)pointer, "hand out floating-point state");
            if (rented is not null)
            {
                area[..sizeof(X64State.XsaveArea)].CopyTo(state.Xsave);
                System.Buffers.ArrayPool<byte>.Shared.Return(rented);
            }
        }
        else
        {
            _vcpu.Call(KvmIoctl.GetXsave, ref state.Xsave, "hand out floating-point state");
        }

        KvmXcrs xcrs = default;
        if (_hasXcrs && _vcpu.TryCall(KvmIoctl.GetXcrs, ref xcrs) >= 0 && xcrs.NrXcrs > 0)
            state.Xcr0 = xcrs.Xcrs[0].Value;
    }

    private void SetFloatingPoint(in X64State state)
    {
        if (_hasXcrs && state.Xcr0 != 0)
        {
            var xcrs = new KvmXcrs { NrXcrs = 1 };
            xcrs.Xcrs[0].Value = state.Xcr0;
            Require(_vcpu.TryCall(KvmIoctl.SetXcrs, ref xcrs), "Xcr0");
        }

        int size = Math.Max(_xsaveSize, sizeof(X64State.XsaveArea));
        byte[]? rented = size > sizeof(X64State.XsaveArea) ? System.Buffers.ArrayPool<byte>.Shared.Rent(size) : null;
        if (rented is not null)
        {
            rented.AsSpan(0, size).Clear();
            ((ReadOnlySpan<byte>)state.Xsave).CopyTo(rented);
        }

        int result;
        fixed (byte* pointer = rented ?? (ReadOnlySpan<byte>)state.Xsave)
            result = _vcpu.TryCall(KvmIoctl.SetXsave, (nint)pointer);
        if (rented is not null)
            System.Buffers.ArrayPool<byte>.Shared.Return(rented);
        Require(result, "Xsave");
    }

    private void GetEvents(ref X64State state)
    {
        KvmVcpuEvents e = default;
        _vcpu.Call(KvmIoctl.GetVcpuEvents, ref e, "hand out pending events");
        state.Events = new X64Events
        {
            ExceptionInjected = e.ExceptionInjected != 0,
            ExceptionPending = e.ExceptionPending != 0,
            ExceptionHasErrorCode = e.ExceptionHasErrorCode != 0,
            ExceptionVector = e.ExceptionNr,
            ExceptionErrorCode = e.ExceptionErrorCode,
            InterruptInjected = e.InterruptInjected != 0,
            InterruptSoft = e.InterruptSoft != 0,
            InterruptVector = e.InterruptNr,
            InterruptShadow = e.InterruptShadow,
            NmiInjected = e.NmiInjected != 0,
            NmiPending = e.NmiPending != 0,
            NmiMasked = e.NmiMasked != 0,
            SipiVector = e.SipiVector,
        };
    }

    private void SetEvents(in X64State state)
    {
        ref readonly X64Events from = ref state.Events;
        var e = new KvmVcpuEvents
        {
            ExceptionInjected = Bit(from.ExceptionInjected || from.ExceptionPending),
            ExceptionHasErrorCode = Bit(from.ExceptionHasErrorCode),
            ExceptionNr = from.ExceptionVector,
            ExceptionErrorCode = from.ExceptionErrorCode,
            InterruptInjected = Bit(from.InterruptInjected),
            InterruptSoft = Bit(from.InterruptSoft),
            InterruptNr = from.InterruptVector,
            InterruptShadow = from.InterruptShadow,
            NmiInjected = Bit(from.NmiInjected),
            NmiMasked = Bit(from.NmiMasked),
            SipiVector = from.SipiVector,
            // None in the kernel: one that waits is offered when the guest is entered, and until then it can wake a vCPU that is halted here.
            Flags = KvmVcpuEvents.ValidNmiPending | KvmVcpuEvents.ValidShadow | (_hasLapic ? KvmVcpuEvents.ValidSipiVector : 0),
        };
        Require(_vcpu.TryCall(KvmIoctl.SetVcpuEvents, ref e), "Events");
    }

    private static byte Bit(bool value) => value ? (byte)1 : (byte)0;

    private static X64Segment From(in KvmSegment s) => new()
    {
        Base = s.Base,
        Limit = s.Limit,
        Selector = s.Selector,
        Type = s.Type,
        Dpl = s.Dpl,
        CodeOrData = s.S != 0,
        Present = s.Present != 0,
        Available = s.Avl != 0,
        Long = s.L != 0,
        Big = s.Db != 0,
        Granular = s.G != 0,
        Unusable = s.Unusable != 0,
    };

    private static KvmSegment To(in X64Segment s) => new()
    {
        Base = s.Base,
        Limit = s.Limit,
        Selector = s.Selector,
        Type = s.Type,
        Dpl = s.Dpl,
        S = Bit(s.CodeOrData),
        Present = Bit(s.Present),
        Avl = Bit(s.Available),
        L = Bit(s.Long),
        Db = Bit(s.Big),
        G = Bit(s.Granular),
        Unusable = Bit(s.Unusable),
    };
}
