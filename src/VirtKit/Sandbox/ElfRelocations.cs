using System.Buffers.Binary;
using VirtKit.Boot;

namespace VirtKit.Sandboxing;

/// <summary>The relocations of a static position-independent executable (RISC-V ELF psABI, "Relocations"; gABI 4.1, chapter 5, "Dynamic Section").</summary>
internal static class ElfRelocations
{
    private const ulong Needed = 1, Rela = 7, RelaSize = 8, Relr = 36, RelrSize = 35, Symbols = 6;
    private const uint None = 0, Absolute64 = 2, Relative = 3, JumpSlot = 5;

    /// <summary>Whether a dynamic linker would have to load more than the program.</summary>
    /// <param name="dynamic">The dynamic section.</param>
    public static bool NeedLibraries(ReadOnlySpan<byte> dynamic)
    {
        for (; dynamic.Length >= 16 && U64(dynamic) != 0; dynamic = dynamic[16..])
        {
            if (U64(dynamic) == Needed)
                return true;
        }

        return false;
    }

    /// <summary>Applies them to the loaded program.</summary>
    /// <param name="dynamic">The dynamic section.</param>
    /// <param name="window">The program's memory, from address 0 on.</param>
    /// <param name="bias">By how much the program was moved.</param>
    /// <exception cref="InvalidImageException">One lies outside of the memory, or is of an unknown kind.</exception>
    public static void Apply(ReadOnlySpan<byte> dynamic, Span<byte> window, ulong bias)
    {
        ulong rela = Find(dynamic, Rela), relaSize = Find(dynamic, RelaSize), symbols = Find(dynamic, Symbols);
        for (ulong at = 0; at + 24 <= relaSize; at += 24)
        {
            ReadOnlySpan<byte> entry = At(window, rela + bias + at, 24);
            ulong place = U64(entry), info = U64(entry[8..]), addend = U64(entry[16..]);
            ulong value = (uint)info switch
            {
                None => 0,
                Relative => bias + addend,
                Absolute64 or JumpSlot => bias + U64(At(window, symbols + bias + (info >> 32) * 24 + 8, 8)) + addend,
                _ => throw new InvalidImageException($"The program has a relocation of kind {(uint)info}, which a static program has not."),
            };
            if ((uint)info != None)
                BinaryPrimitives.WriteUInt64LittleEndian(At(window, place + bias, 8), value);
        }

        ApplyRelative(window, Find(dynamic, Relr) + bias, Find(dynamic, RelrSize), bias);
    }

    /// <summary>The compact form (gABI, "Relative Relocation Table"): an address, then bitmaps of the words behind it.</summary>
    private static void ApplyRelative(Span<byte> window, ulong table, ulong size, ulong bias)
    {
        ulong next = 0;
        for (ulong at = 0; at + 8 <= size; at += 8)
        {
            ulong entry = U64(At(window, table + at, 8));
            if ((entry & 1) == 0)
            {
                Move(window, entry + bias, bias);
                next = entry + bias + 8;
                continue;
            }

            for (int bit = 1; bit < 64; bit++)
            {
                if ((entry >> bit & 1) != 0)
                    Move(window, next + (ulong)(bit - 1) * 8, bias);
            }

            next += 63 * 8;
        }
    }

    private static void Move(Span<byte> window, ulong address, ulong bias)
    {
        Span<byte> word = At(window, address, 8);
        BinaryPrimitives.WriteUInt64LittleEndian(word, U64(word) + bias);
    }

    private static ulong Find(ReadOnlySpan<byte> dynamic, ulong tag)
    {
        for (; dynamic.Length >= 16 && U64(dynamic) != 0; dynamic = dynamic[16..])
        {
            if (U64(dynamic) == tag)
                return U64(dynamic[8..]);
        }

        return 0;
    }

    private static Span<byte> At(Span<byte> window, ulong address, int length) =>
        address <= (ulong)window.Length - (ulong)length ? window.Slice((int)address, length) : throw new InvalidImageException($"A relocation of the program refers to 0x{address:x}, outside of its memory.");

    private static ulong U64(ReadOnlySpan<byte> bytes) => BinaryPrimitives.ReadUInt64LittleEndian(bytes);
}
