using System.CommandLine;
using VirtKit.Bench;

var root = new RootCommand("Measures VirtKit: whole guests against QEMU, and its hot paths on their own.")
{
    GuestsCommand.Create(),
    DebianCommand.Create(),
    UserlandCommand.Create(),
    StartCommand.Create(),
    TranslationCommand.Create(),
    SnapshotCommand.Create(),
    KvmCommand.Create(),
    MicroCommand.Create(),
};

try
{
    return await root.Parse(args).InvokeAsync(new InvocationConfiguration { EnableDefaultExceptionHandler = false });
}
catch (BenchException e)
{
    await Console.Error.WriteLineAsync(e.Message);
    return 1;
}
