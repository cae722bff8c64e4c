using System.Text;
using VirtKit.Sandboxing;
using VirtKit.Tests.Samples;
using VirtKit.Tests.Support;

namespace VirtKit.Tests.Sandboxing;

/// <summary>Calls into a guest and out of it: every kind of argument and result, on every engine, in a program at a fixed address and in one at any (samples/guests/plugins/calls.c).</summary>
public class SandboxCallTests
{
    private readonly record struct Point(double X, double Y, double Z);

    [Fact]
    public void Call_OnATranslatorThatChecksItself_Works()
    {
        var engine = new VirtKit.Accel.Translator.TranslatorEngine(new VirtKit.Accel.Translator.TranslatorOptions { CrossCheck = true });
        if (!engine.Supports(new VirtKit.RiscV.RiscVArchitecture(), out string? reason))
            Assert.Skip(reason ?? "");
        using Sandbox sandbox = new SandboxBuilder(SampleProgram.Guest("calls.elf")).WithEngine(engine).Expose("log", (ReadOnlySpan<byte> _) => { })
            .Expose("add_at_host", (int a, int b) => a + b).Expose("scale_at_host", (double value, float by) => value * by).Build();
        using Sandbox fork = sandbox.Fork();
        foreach (Sandbox each in (Sandbox[])[sandbox, fork])
            Assert.Equal(10, each.Call<int>("use_host", 2, 3));
    }

    public static TheoryData<string, string> Cases => [.. RiscVEngines.All.SelectMany(engine => new[] { (engine, "calls.elf"), (engine, "calls-pie.elf") })];

    [Theory]
    [MemberData(nameof(Cases))]
    public void Numbers_AsArgumentsAndResults_AreThoseOfC(string engine, string guest)
    {
        using Sandbox sandbox = Create(engine, guest).Build();
        sandbox.Call("nothing");
        Assert.Equal(5, sandbox.Call<int>("add", 2, 3));
        Assert.Equal(-1, sandbox.Call<int>("add", int.MaxValue, int.MinValue));
        Assert.Equal(10.75, sandbox.Call<double>("mix", 1, 2.5, 3.25f, 4L));
        Assert.Equal(10.75, sandbox.GetFunction("mix").Invoke<double, int, double, float, long>(1, 2.5, 3.25f, 4));
        Assert.Equal(3u, sandbox.Call<uint>("add", 1u, 2u));
        Assert.Equal(uint.MaxValue, sandbox.Call<uint>("add", uint.MaxValue - 2, 2u));
        Assert.Equal(DayOfWeek.Saturday, sandbox.GetFunction("add").Invoke<DayOfWeek, DayOfWeek, int>(DayOfWeek.Monday, 5));
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Arguments_MoreThanRegisters_AreOnTheStack(string engine, string guest)
    {
        using Sandbox sandbox = Create(engine, guest).Build();
        Assert.Equal(-644679, sandbox.Call<long>("many", (byte[])[1], (byte[])[1, 1], (byte[])[3], (byte[])[5], -5L, -6));
        Assert.Equal(654321, sandbox.GetFunction("many").Invoke<long, ReadOnlySpan<byte>, Span<byte>, byte[], ReadOnlyMemory<byte>, long, int>(
            [1], new byte[] { 1, 1 }, [3], new byte[] { 4 }, 5, 6));
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Texts_BothWays_AreUtf8(string engine, string guest)
    {
        using Sandbox sandbox = Create(engine, guest).Build();
        Assert.Equal(7, sandbox.Call<long>("length_of", "grüezi"));
        Assert.Equal(0, sandbox.Call<long>("length_of", ""));
        Assert.Equal(-1, sandbox.Call<long>("length_of", (string?)null));
        Assert.Equal("grüezi", sandbox.Call<string>("greeting"));
        Assert.Equal(6, sandbox.Call<long>("text_to_host", "grüezi"));
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Spans_InAndOut_AreTheGuests(string engine, string guest)
    {
        using Sandbox sandbox = Create(engine, guest).Build();
        Assert.Equal(6, sandbox.GetFunction("sum").Invoke<long, ReadOnlySpan<int>>([1, 2, 3]));
        Assert.Equal(6, sandbox.Call<long>("sum", SandboxArgument.In<int>([1, 2, 3])));
        Assert.Equal(0, sandbox.GetFunction("sum").Invoke<long, ReadOnlySpan<int>>([]));
        byte[] bytes = [1, 2, 3, 4, 5];
        sandbox.Call("reverse", bytes.AsSpan());
        Assert.Equal([5, 4, 3, 2, 1], bytes);
        sandbox.GetFunction("reverse").Invoke(bytes.AsSpan());
        Assert.Equal([1, 2, 3, 4, 5], bytes);
        Assert.Equal([3, 4, 5], sandbox.Call<byte[]>("bytes_from", 3L, 3L));
        Assert.Equal([3, 4, 5], sandbox.Call<ReadOnlySpan<byte>>("bytes_from", 3L, 3L).ToArray());
        byte[] large = Enumerable.Range(0, 1 << 20).Select(i => (byte)i).ToArray(), expected = [.. large.Reverse()];
        sandbox.Call("reverse", large.AsSpan());
        Assert.Equal(expected, large);
        Assert.Equal(45UL, sandbox.Call<ulong>("filled", 10UL));
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Structures_BothWays_ArePassedByPointer(string engine, string guest)
    {
        using Sandbox sandbox = Create(engine, guest).Build();
        var point = new Point(1, 2, 3);
        Assert.Equal(new Point(2, 3, 4), sandbox.GetFunction("moved").Invoke<Point, Point, double>(point, 1));
        Assert.Equal(new Point(3, 4, 5), sandbox.Call<Point>("moved", SandboxArgument.In(in point), 2.0));
        sandbox.Call("move", SandboxArgument.InOut(ref point), 0.5);
        Assert.Equal(new Point(1.5, 2.5, 3.5), point);
        Assert.Equal(9.0, sandbox.Call<double>("middle", 2.0, 4.0));
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void HostFunctions_OfEveryShape_AreCalled(string engine, string guest)
    {
        var log = new List<string>();
        using Sandbox sandbox = Create(engine, guest, log).Build();
        Assert.Equal(10, sandbox.Call<int>("use_host", 2, 3));
        Assert.Equal(["adding"], log);
        Assert.Equal(5UL + 4 + 3 + 2 + 1, Nested(sandbox, 5));
        Assert.Equal(2UL, sandbox.Usage.HostCalls - 5 - 1);
    }

    private static ulong Nested(Sandbox sandbox, long depth) => sandbox.Call<ulong>("nest", depth) - 1;

    [Theory]
    [MemberData(nameof(Cases))]
    public void StateOfTheGuest_BetweenCalls_Stays(string engine, string guest)
    {
        using Sandbox sandbox = Create(engine, guest).Build();
        Assert.Equal(1, sandbox.Call<long>("counted"));
        Assert.Equal(2, sandbox.Call<long>("counted"));
        using SandboxSnapshot snapshot = sandbox.Snapshot();
        Assert.Equal(3, sandbox.Call<long>("counted"));
        using Sandbox fork = sandbox.Fork(), other = snapshot.Fork();
        Assert.Equal(3, fork.Call<long>("counted"));
        Assert.Equal(4, fork.Call<long>("counted"));
        Assert.Equal(3, other.Call<long>("counted"));
        sandbox.Reset();
        Assert.Equal(3, sandbox.Call<long>("counted"));
        Assert.Equal(5, fork.Call<long>("counted"));
        fork.Reset();
        Assert.Equal(3, fork.Call<long>("counted"));
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Memory_OfTheHeap_IsZeroed(string engine, string guest)
    {
        using Sandbox sandbox = Create(engine, guest).WithMemory(1 << 20).Build();
        Assert.Equal(0, sandbox.Call<long>("map", 65536UL));
        Assert.Equal(0, sandbox.Call<long>("map_again", 8192UL));
        Assert.Equal(-1, sandbox.Call<long>("map", 1UL << 20));
        Assert.Equal(-1, sandbox.Call<long>("map", ulong.MaxValue));
        using SandboxSnapshot snapshot = sandbox.Snapshot();
        sandbox.Reset();
        Assert.Equal(0, sandbox.Call<long>("map_again", 8192UL));
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public async Task HostFunction_ThatTakesItsTime_ParksTheGuest(string engine, string guest)
    {
        var answer = new TaskCompletionSource<long>();
        using Sandbox sandbox = Create(engine, guest, answer: answer.Task).Build();
        ValueTask<long> call = sandbox.CallAsync<long>("waits", 41L);
        Assert.False(call.IsCompleted);
        Assert.Throws<InvalidOperationException>(() => sandbox.Call<int>("add", 1, 2));
        answer.SetResult(41);
        Assert.Equal(42, await call);
        Assert.Equal(3, sandbox.Call<int>("add", 1, 2));
        Assert.Equal(42, sandbox.Call<long>("waits", 41L));
    }

    internal static SandboxBuilder Create(string engine, string guest, List<string>? log = null, Task<long>? answer = null) =>
        new SandboxBuilder(SampleProgram.Guest(guest)).WithEngine(RiscVEngines.Create(engine))
            .Expose("log", (ReadOnlySpan<byte> text) => log?.Add(Encoding.UTF8.GetString(text)))
            .Expose("add_at_host", (int a, int b) => a + b)
            .Expose("scale_at_host", (double value, float by) => value * by)
            .Expose("call_back", (Sandbox sandbox, long depth) => sandbox.Call<long>("nest", depth))
            .Expose("fill", (Span<byte> bytes) =>
            {
                for (int i = 0; i < bytes.Length; i++)
                    bytes[i] = (byte)i;
                return (ulong)bytes.Length;
            })
            .Expose("middle_at_host", (Point a, Point b) => new Point((a.X + b.X) / 2, (a.Y + b.Y) / 2, (a.Z + b.Z) / 2))
            .Expose("length_at_host", (string text) => (long)text.Length)
            .ExposeAsync("wait_at_host", (long value) => answer is null ? new ValueTask<long>(value) : new ValueTask<long>(answer));
}
