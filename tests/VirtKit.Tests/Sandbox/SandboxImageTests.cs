using System.Buffers.Binary;
using VirtKit.Sandboxing;
using VirtKit.Tests.Samples;
using VirtKit.Tests.Support;

namespace VirtKit.Tests.Sandboxing;

/// <summary>Programs that are no programs, or are made to harm who loads them.</summary>
public class SandboxImageTests
{
    private const ulong Cases = 1_500;

    /// <summary>Damaged programs are refused, or run and are contained.</summary>
    [Theory]
    [InlineData("calls.elf")]
    [InlineData("calls-pie.elf")]
    public void Build_OfDamagedPrograms_IsRefusedOrContained(string guest)
    {
        Random random = Seed.Usual(1);
        byte[] sample = File.ReadAllBytes(SampleProgram.Guest(guest));
        ulong built = 0, done = 0;
        for (Func<ulong, bool> goesOn = Soak.While(i => i < Cases); goesOn(done); done++)
        {
            byte[] file = [.. sample];
            // Headers, tables and code: most of what matters stands in the first page, and the section headers at the end.
            for (int i = random.Next(1, 9); i > 0; i--)
            {
                int at = random.Next(4) switch { 0 => random.Next(64), 1 => random.Next(64, 600), 2 => file.Length - 1 - random.Next(Math.Min(file.Length, 1500)), _ => random.Next(file.Length) };
                file[at] = random.Next(3) == 0 ? (byte)random.Next(256) : (byte)(file[at] ^ 1 << random.Next(8));
            }

            if (random.Next(10) == 0)
                Array.Resize(ref file, random.Next(file.Length));
            try
            {
                using Sandbox sandbox = new SandboxBuilder(file).WithEngine(RiscVEngines.Create("interpreter")).WithMemory(8 << 20).WithBudget(100_000)
                    .Expose("log", (ReadOnlySpan<byte> _) => { }).Build();
                built++;
                foreach (string function in (string[])["add", "nothing", "greeting", "counted"])
                {
                    try
                    {
                        if (sandbox.TryGetFunction(function, out SandboxFunction? found))
                            found.Invoke<string>();
                    }
                    catch (SandboxException)
                    {
                        sandbox.Reset();
                    }
                }
            }
            catch (Exception e) when (e is InvalidImageException or SandboxException or ArgumentException { ParamName: "memory" })
            {
            }
            catch (Exception e)
            {
                Assert.Fail($"Case {done}: {e}\n{Convert.ToHexString(file)}");
            }
        }

        Assert.InRange(built, done / 100, done);
    }

    [Fact]
    public void Build_OfWhatNoSandboxCanRun_SaysWhy()
    {
        Assert.Throws<InvalidImageException>(() => new SandboxBuilder(new byte[100]));
        byte[] sample = File.ReadAllBytes(SampleProgram.Guest("calls.elf"));
        Assert.Contains("truncated", Assert.Throws<InvalidImageException>(() => new SandboxBuilder(sample.AsMemory(0, 100))).Message, StringComparison.Ordinal);
        byte[] other = [.. sample];
        other[18] = 62;
        Assert.Contains("machine 62", Assert.Throws<InvalidImageException>(() => new SandboxBuilder(other)).Message, StringComparison.Ordinal);

        // The first loadable segment, the second program header, far up, at null, and larger than memory.
        Assert.Contains("below 0x100000000", Refusal(header => BinaryPrimitives.WriteUInt64LittleEndian(header[16..], 1UL << 40)), StringComparison.Ordinal);
        Assert.Contains("null pointers", Refusal(header => BinaryPrimitives.WriteUInt64LittleEndian(header[16..], 0)), StringComparison.Ordinal);
        Assert.Contains("do not hold the program", Refusal(header => BinaryPrimitives.WriteUInt64LittleEndian(header[40..], 1UL << 30)), StringComparison.Ordinal);
        Assert.Throws<ArgumentOutOfRangeException>("bytes", () => new SandboxBuilder(sample).WithMemory(1));
        Assert.Throws<ArgumentOutOfRangeException>("bytes", () => new SandboxBuilder(sample).WithStack(1));
        Assert.Throws<ArgumentOutOfRangeException>("instructions", () => new SandboxBuilder(sample).WithBudget(0));
        Assert.Throws<ArgumentOutOfRangeException>("time", () => new SandboxBuilder(sample).WithDeadline(TimeSpan.Zero));
        Assert.Throws<ArgumentOutOfRangeException>("depth", () => new SandboxBuilder(sample).WithReentry(-1));
        Assert.Throws<ArgumentNullException>("function", () => new SandboxBuilder(sample).Expose("log", (Action)null!));
        Assert.Throws<ArgumentException>("function", () => new SandboxBuilder(sample).Expose("log", (object _) => { }));
        Assert.Throws<ArgumentException>("function", () => new SandboxBuilder(sample).Expose("", () => { }));
        Assert.Throws<ArgumentException>("function", () => new SandboxBuilder(sample).Expose("log", () => { }).Expose("log", () => { }));
        Assert.Throws<ArgumentException>("function", () => new SandboxBuilder(sample).Expose("log", () => "a text"));
        using Sandbox sandbox = new SandboxBuilder(sample).Build();
        Assert.Throws<ArgumentException>("name", () => sandbox.GetFunction("is_not_here"));
        Assert.Throws<ArgumentException>(() => sandbox.GetFunction("nothing").Invoke<object>());
        sandbox.Call("nothing");

        string Refusal(Action<Span<byte>> change)
        {
            byte[] file = [.. sample];
            int headers = BinaryPrimitives.ReadUInt16LittleEndian(file.AsSpan(56));
            for (int i = 0; i < headers; i++)
            {
                Span<byte> header = file.AsSpan(64 + 56 * i, 56);
                if (BinaryPrimitives.ReadUInt32LittleEndian(header) != 1)
                    continue;
                change(header);
                break;
            }

            return Assert.ThrowsAny<Exception>(() => new SandboxBuilder(file).Build()).Message;
        }
    }
}
