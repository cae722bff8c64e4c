using System.Text;

namespace VirtKit.Samples.BootLinux.Terminal;

/// <summary>Watches a serial line for the start of /init: the application program command that <c>init.sh</c> prints, which a terminal ignores and which is taken
/// out here, or the kernel's own message, which stays.</summary>
internal sealed class InitMarker(Action seen)
{
    private static readonly byte[] Marker = Encoding.ASCII.GetBytes("\u001b_virtkit:init\u001b\\");
    private static readonly byte[] KernelMessage = "Run /init as init process"u8.ToArray();

    private int _marker, _message;

    /// <summary>What of the bytes is to be shown.</summary>
    public byte[] Filter(ReadOnlySpan<byte> bytes)
    {
        var shown = new List<byte>(bytes.Length + Marker.Length);
        foreach (byte b in bytes)
        {
            if (Step(KernelMessage, ref _message, b))
                seen();
            int held = _marker;
            if (Step(Marker, ref _marker, b))
            {
                seen();
                continue;
            }

            // What was held back and does not go on as the marker does is shown after all; the byte itself may begin a new one.
            if (_marker <= held)
                shown.AddRange(Marker.AsSpan(0, held));
            if (_marker == 0)
                shown.Add(b);
        }

        return [.. shown];
    }

    private static bool Step(byte[] pattern, ref int matched, byte b)
    {
        if (b != pattern[matched])
            matched = 0;
        if (b == pattern[matched])
            matched++;
        if (matched < pattern.Length)
            return false;
        matched = 0;
        return true;
    }
}
