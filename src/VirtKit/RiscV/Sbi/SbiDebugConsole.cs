namespace VirtKit.RiscV.Sbi;

/// <summary>The debug console extension, DBCN (SBI §12).</summary>
internal static class SbiDebugConsole
{
    /// <summary>The most bytes of one call; a caller goes on with the rest, so a guest cannot keep the host busy for long.</summary>
    private const int Chunk = 4096;

    public static SbiResult Call(Hart hart, ulong function, AddressSpace memory, ISbiConsole console)
    {
        ulong count = hart.X(10);
        // The high half of the address is always 0 on RV64.
        var address = new Gpa(hart.X(11));
        if (function != 2 && hart.X(12) != 0)
            return SbiError.InvalidParameter;
        Span<byte> buffer = stackalloc byte[Chunk];
        switch (function)
        {
            case 0:
                Span<byte> output = buffer[..(int)Math.Min(count, Chunk)];
                if (!memory.TryRead(address, output))
                    return SbiError.InvalidParameter;
                return SbiResult.Of((ulong)Math.Clamp(console.TryWrite(output), 0, output.Length));
            case 1:
                // Where the bytes go is checked before any is taken from the console.
                Span<byte> input = buffer[..(int)Math.Min(count, Chunk)];
                if (!memory.TryRead(address, input))
                    return SbiError.InvalidParameter;
                input = input[..Math.Clamp(console.Read(input), 0, input.Length)];
                return memory.TryWrite(address, input) ? SbiResult.Of((ulong)input.Length) : SbiError.InvalidParameter;
            case 2:
                // The call has no way to say "later" (SBI §12.3): a console that has no room is an I/O error.
                return console.TryWrite([(byte)count]) == 1 ? SbiResult.Of(0) : SbiError.Failed;
            default:
                return SbiError.NotSupported;
        }
    }
}
