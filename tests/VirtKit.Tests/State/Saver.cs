using VirtKit.Devices.Boards;
using VirtKit.State;

namespace VirtKit.Tests.State;

/// <summary>A process that saves a machine over one file until it is killed.</summary>
internal static class Saver
{
    public const string Command = "save-until-killed";

    /// <summary>The file that says that there is one to be read.</summary>
    public static string ReadyFile(string path) => path + ".ready";

    public static async Task RunAsync(string path)
    {
        using RiscVVirt board = SnapshotBoard.Board("interpreter");
        byte[] noise = new byte[8 << 20];
        new Random(1).NextBytes(noise);
        board.Machine.Memory.Write(new Gpa(0x8060_0000), noise);
        while (true)
        {
            board.Machine.Run(1000);
            using MachineSnapshot snapshot = board.Machine.Capture();
            await snapshot.SaveAsync(path);
            await File.WriteAllTextAsync(ReadyFile(path), "");
        }
    }
}
