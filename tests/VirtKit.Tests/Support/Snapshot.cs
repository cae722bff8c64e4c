using System.Runtime.CompilerServices;

namespace VirtKit.Tests.Support;

/// <summary>Golden files by Verify's convention: <c>Class.Method.verified.txt</c> beside the test, <c>.received.txt</c> written on a difference. The one place to
/// replace when Verify.Xunit itself can be restored.</summary>
internal static class Snapshot
{
    public static void Verify(string text, string? variant = null, [CallerFilePath] string file = "", [CallerMemberName] string member = "")
    {
        string name = Path.GetFileNameWithoutExtension(file) + "." + member + (variant is null ? "" : "_" + variant);
        string stem = Path.Combine(Path.GetDirectoryName(file)!, name);
        string received = stem + ".received.txt", verified = stem + ".verified.txt";
        string actual = text.ReplaceLineEndings("\n").TrimEnd('\n') + "\n";
        string? expected = File.Exists(verified) ? File.ReadAllText(verified).ReplaceLineEndings("\n").TrimEnd('\n') + "\n" : null;
        if (actual == expected)
        {
            File.Delete(received);
            return;
        }

        File.WriteAllText(received, actual);
        if (expected is null)
            Assert.Fail($"{Path.GetFileName(verified)} does not exist; review {received} and rename it.");
        Assert.Equal(expected, actual);
    }
}
