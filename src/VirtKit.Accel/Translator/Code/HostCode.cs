using System.Runtime.InteropServices;
using VirtKit.Accel.Translator.Guests;
using VirtKit.Accel.Translator.Ir;
using VirtKit.Accel.Translator.Hosts.Amd64;

namespace VirtKit.Accel.Translator.Code;

/// <summary>Chooses the host's kind of processor: the one place that names them.</summary>
internal static class HostCode
{
    /// <summary>Why there is none for this host, or <see langword="null"/>.</summary>
    /// <exception cref="VirtKitException">The host gives no memory for code; the message says why.</exception>
    public static string? Objection() => RuntimeInformation.ProcessArchitecture switch
    {
        Architecture.X64 => Amd64Features.Objection(),
        var other => $"it emits code for x86-64, and the host is {other}.",
    };

    /// <param name="guest">The registers of the guest's ISA.</param>
    /// <param name="keepsLoops">Whether a block that ends in a branch to its beginning may stay inside itself.</param>
    public static IHostCode Create(ICodeMemory memory, GuestRegisterFile guest, IrBlock block, CodeRecords records, bool keepsLoops) =>
        new Amd64Code(memory, HostConvention.Current, guest, block, records, keepsLoops);
}
