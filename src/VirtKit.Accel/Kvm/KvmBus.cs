using System.Runtime.CompilerServices;
using VirtKit.Engines;
using VirtKit.X86;

namespace VirtKit.Accel.Kvm;

/// <summary>Answers a vCPU's port, memory and MSR accesses out of the machine's address spaces. What nobody answers reads as ones and swallows stores, as on the bus.</summary>
/// <param name="index">The vCPU's index.</param>
/// <param name="run">What it shares with the kernel.</param>
/// <param name="context">What the machine has.</param>
/// <param name="msrs">What its MSR accesses do.</param>
/// <param name="deadline">Who answers for the local APIC's MSR; <see langword="null"/> where the kernel or the policy does.</param>
/// <param name="apicPage">The page of its local APIC, where that is a model.</param>
internal sealed unsafe class KvmBus(int index, KvmRun* run, PartitionContext context, MsrPolicy msrs, KvmTscDeadline? deadline, KvmApicPage? apicPage)
{
    private readonly AddressSpace _memory = context.Memory;
    private readonly AddressSpace? _ports = context.Ports;
    private readonly X64Platform _platform = X64Platform.Of(context);

    /// <summary>Accesses that a device answered.</summary>
    public ulong Accesses { get; private set; }

    /// <summary>The value of a single OUT.</summary>
    public ulong OutValue => Load((byte*)run + run->Io.DataOffset, run->Io.Size);

    /// <summary>IN, OUT, INS and OUTS: the kernel gathers the elements of a repeated one, as far as a page holds them.</summary>
    public void AccessPorts()
    {
        int size = run->Io.Size;
        var port = new Gpa(run->Io.Port);
        // SAFETY: the kernel keeps Count elements of Size bytes at this offset of the shared pages.
        byte* element = (byte*)run + run->Io.DataOffset;
        for (uint i = 0; i < run->Io.Count; i++, element += size)
        {
            bool answered;
            if (run->Io.Direction == 0)
            {
                ulong value = ulong.MaxValue;
                answered = _ports is not null && _ports.TryLoad(port, size, out value);
                Store(element, size, value);
            }
            else
            {
                answered = _ports is not null && _ports.TryStore(port, size, Load(element, size));
            }

            if (answered)
                Accesses++;
        }
    }

    public void AccessMemory()
    {
        int length = (int)Math.Min(run->Mmio.Len, 8);
        var address = new Gpa(run->Mmio.PhysAddr);
        AddressSpace space = _memory;
        if (apicPage is not null && apicPage.TryFind(address.Value, out AddressSpace? page, out Gpa offset))
            (space, address) = (page!, offset);
        if (run->Mmio.IsWrite != 0)
            Store(space, address, length, run->Mmio.Data);
        else
            run->Mmio.Data = Load(space, address, length);
    }

    /// <summary>A store that the kernel has gathered.</summary>
    public void Post(in KvmCoalescedMmio store)
    {
        AddressSpace? space = store.Pio != 0 ? _ports : _memory;
        fixed (byte* data = store.Data)
        {
            if (space is not null)
                Store(space, new Gpa(store.PhysAddr), (int)Math.Min(store.Len, 8), *(ulong*)data);
        }
    }

    /// <returns>What went wrong in the handler, or <see langword="null"/>.</returns>
    public string? AccessMsr()
    {
        uint msr = run->Msr.Index;
        IMsrHandler? handler = HandlerOf(msr);
        try
        {
            bool done = false;
            if (run->ExitReason == KvmExit.X86Wrmsr)
            {
                done = handler is not null && handler.TryWrite(index, msr, run->Msr.Data);
            }
            else if (handler is not null && handler.TryRead(index, msr, out ulong value))
            {
                run->Msr.Data = value;
                done = true;
            }

            run->Msr.Error = done ? (byte)0 : (byte)1;
            return null;
        }
        catch (Exception e)
        {
            run->Msr.Error = 1;
            return $"MSR handler 0x{msr:x}: {e.Message}";
        }
    }

    private IMsrHandler? HandlerOf(uint msr)
    {
        if (msr == KvmTscDeadline.Msr && deadline is not null)
            return deadline;
        bool isEmulated = msrs.Rules.TryGetValue(msr, out MsrAction action) ? action == MsrAction.Emulate : msrs.EmulatesUnknown;
        return isEmulated ? _platform.MsrHandler : null;
    }

    private void Store(AddressSpace space, Gpa address, int length, ulong value)
    {
        if (length is 1 or 2 or 4 or 8)
        {
            if (space.TryStore(address, length, value))
                Accesses++;
            return;
        }

        // A part of an access that crosses a page or the end of _memory.
        for (int i = 0; i < length; i++)
            space.TryStore(address + (ulong)i, 1, (byte)(value >> (i * 8)));
    }

    private ulong Load(AddressSpace space, Gpa address, int length)
    {
        ulong value = 0;
        if (length is 1 or 2 or 4 or 8)
        {
            if (space.TryLoad(address, length, out value))
                Accesses++;
            return value;
        }

        for (int i = 0; i < length; i++)
        {
            space.TryLoad(address + (ulong)i, 1, out ulong part);
            value |= part << (i * 8);
        }

        return value;
    }

    private static ulong Load(byte* from, int size) => size switch
    {
        1 => *from,
        2 => Unsafe.ReadUnaligned<ushort>(from),
        _ => Unsafe.ReadUnaligned<uint>(from),
    };

    private static void Store(byte* to, int size, ulong value)
    {
        switch (size)
        {
            case 1:
                *to = (byte)value;
                break;
            case 2:
                Unsafe.WriteUnaligned(to, (ushort)value);
                break;
            default:
                Unsafe.WriteUnaligned(to, (uint)value);
                break;
        }
    }
}
