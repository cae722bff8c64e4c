using System.Runtime.CompilerServices;
using VirtKit.X86;

namespace VirtKit.Accel.Kvm;

/// <summary>Answers a vCPU's port, memory and MSR accesses out of the machine's address spaces. What nobody answers reads as ones and swallows stores, as on the bus.</summary>
internal sealed unsafe class KvmBus(int index, KvmRun* run, AddressSpace memory, AddressSpace? ports, MsrPolicy msrs)
{
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
                answered = ports is not null && ports.TryLoad(port, size, out value);
                Store(element, size, value);
            }
            else
            {
                answered = ports is not null && ports.TryStore(port, size, Load(element, size));
            }

            if (answered)
                Accesses++;
        }
    }

    public void AccessMemory()
    {
        var address = new Gpa(run->Mmio.PhysAddr);
        uint length = Math.Min(run->Mmio.Len, 8);
        bool write = run->Mmio.IsWrite != 0;
        if (length is 1 or 2 or 4 or 8)
        {
            bool answered = write ? memory.TryStore(address, (int)length, run->Mmio.Data) : memory.TryLoad(address, (int)length, out run->Mmio.Data);
            if (answered)
                Accesses++;
            return;
        }

        // A part of an access that crosses a page or the end of memory.
        var data = (byte*)&run->Mmio.Data;
        for (uint i = 0; i < length; i++)
        {
            if (write)
            {
                memory.TryStore(address + i, 1, data[i]);
            }
            else
            {
                memory.TryLoad(address + i, 1, out ulong value);
                data[i] = (byte)value;
            }
        }
    }

    /// <returns>What went wrong in the handler, or <see langword="null"/>.</returns>
    public string? AccessMsr()
    {
        uint msr = run->Msr.Index;
        IMsrHandler? handler = msrs.Rules.TryGetValue(msr, out MsrRule rule) ? rule.Handler : msrs.Unknown;
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
        catch (Exception e) when (e is not OutOfMemoryException)
        {
            run->Msr.Error = 1;
            return $"MSR handler 0x{msr:x}: {e.Message}";
        }
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
