namespace VirtKit;

/// <summary>What the bus does with an access whose width or alignment a device does not declare: what the wires between processor and chip do in hardware.</summary>
public enum UndeclaredAccess
{
    /// <summary>Nothing answers: the guest gets its architecture's access fault, or ones where the architecture has none.</summary>
    Fault,

    /// <summary>The access is carried out as successive smaller ones, the lowest address first, each of the widest declared width that is aligned there: the ISA bus of a PC does so
    /// with wide accesses to byte-wide chips. The parts may reach different devices; one that reaches none reads as ones. What is narrower than every declared width, or not aligned to it, faults.</summary>
    Split,

    /// <summary>The access reaches the register at its address, and no other: the upper bytes of a wider load are 0 and those of a wider store are lost; a narrower load gets the low
    /// bytes of the register, and a narrower store clears the others. What is not aligned to its own width faults.</summary>
    Pad,
}
