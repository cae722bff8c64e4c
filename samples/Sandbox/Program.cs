using System.Text;
using VirtKit.Sandboxing;

// A host with three plug-ins that it does not trust. Two do what they are there for; the third tries what it can, and the host says what became of it.
using (Sandbox words = Load("words.elf").Expose("log", (ReadOnlySpan<byte> text) => Console.WriteLine($"words says: {Encoding.UTF8.GetString(text)}")).Build())
    Console.WriteLine($"words: {words.Call<long>("score", 10, "three small words"u8.ToArray())}, {words.Usage.Instructions} instructions on the {words.Engine}");

using (Sandbox caesar = Load("caesar.elf").Build())
{
    byte[] text = Encoding.UTF8.GetBytes("attack at dawn");
    caesar.Call("rotate", text.AsSpan(), 13);
    Console.WriteLine($"caesar: {Encoding.UTF8.GetString(text)}");
}

using Sandbox hostile = Load("hostile.elf").Expose("log", (ReadOnlySpan<byte> text) => Console.WriteLine("hostile has logged.")).Build();
for (int attack = 0; attack <= 10; attack++)
{
    try
    {
        Console.WriteLine($"hostile, attack {attack}: returned {hostile.Call<long>("attack", attack)}");
    }
    catch (SandboxException e)
    {
        Console.WriteLine($"hostile, attack {attack}: contained. {e.Message.Split('\n')[0]}");
        hostile.Reset();
    }
}

Console.WriteLine($"hostile afterwards: {hostile.Call<long>("attack", 42)}");

static SandboxBuilder Load(string name)
{
    using Stream resource = typeof(Program).Assembly.GetManifestResourceStream(name)!;
    byte[] program = new byte[resource.Length];
    resource.ReadExactly(program);
    return new SandboxBuilder(program).WithMemory(8 << 20).WithBudget(10_000_000);
}
