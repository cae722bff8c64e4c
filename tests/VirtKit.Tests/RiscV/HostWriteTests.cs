using System.Runtime.InteropServices;
using VirtKit.RiscV;
using VirtKit.Tests.RiscV.Support;
using VirtKit.Tests.Support;

namespace VirtKit.Tests.RiscV;

/// <summary>Code that the host writes while the machine stands runs when it goes on, without a fence.i by the guest.</summary>
public sealed class HostWriteTests
{
    private const ulong Patched = BareMachine.Ram + 0x100, End = 0x1000_0000;

    private static readonly byte[] AddTwo = RiscVAssembler.Assemble("addi a0, a0, 2", 0), AddThree = RiscVAssembler.Assemble("addi a0, a0, 3", 0);

    private static readonly Dictionary<string, Action<AddressSpace, byte[]>> Ways = new()
    {
        ["Write"] = (memory, code) => memory.Write(new Gpa(Patched), code),
        ["TryWrite"] = (memory, code) => Assert.True(memory.TryWrite(new Gpa(Patched), code)),
        ["TryWrite of a value"] = (memory, code) => Assert.True(memory.TryWrite(new Gpa(Patched), MemoryMarshal.Read<uint>(code))),
        ["a span"] = (memory, code) =>
        {
            Assert.True(memory.TryGetSpan(new Gpa(Patched), 4, out Span<byte> span));
            code.CopyTo(span);
        },
        ["other RAM mapped there"] = (memory, code) =>
        {
            var all = new byte[BareMachine.Size];
            memory.Read(new Gpa(BareMachine.Ram), all);
            code.CopyTo(all, (int)(Patched - BareMachine.Ram));
            memory.Unmap(memory.Find(new Gpa(BareMachine.Ram))!);
            MemoryRegion region = memory.MapRam(new Gpa(BareMachine.Ram), BareMachine.Size);
            Marshal.Copy(all, 0, region.HostAddress, all.Length);
        },
    };

    public static TheoryData<string, string> Cases => [.. from engine in RiscVEngines.All from way in Ways.Keys select (engine, way)];

    [Theory]
    [MemberData(nameof(Cases))]
    public void VcpuRun_AfterTheHostWroteCode_RunsIt(string engine, string way)
    {
        using BareMachine m = Prepare(engine);
        // Long enough for the translator to have translated and linked it.
        Assert.Equal(1UL, A0After(m, 3000));
        Ways[way](m.Machine.Memory, AddTwo);
        Assert.Equal(2UL, A0After(m, 3000));
        Ways[way](m.Machine.Memory, AddThree);
        Assert.Equal(3UL, A0After(m, 3));
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void MachineRun_AfterTheHostWroteCode_RunsIt(string engine, string way)
    {
        using BareMachine m = Prepare(engine);
        m.Write(BareMachine.Ram, $"""
            li s0, {End}
            loop: li a0, 0
            call patched
            sw zero, 0(s0)
            j loop
            .org {Patched}
            patched: addi a0, a0, 1
            ret
            """);
        m.Machine.Memory.Map(new Gpa(End), new FakeDevice { OnWrite = (_, _, _) => m.Machine.RequestShutdown(0) });
        foreach ((byte[]? code, ulong expected) in new (byte[]?, ulong)[] { (null, 1), (AddTwo, 2), (AddThree, 3) })
        {
            if (code is not null)
                Ways[way](m.Machine.Memory, code);
            for (int i = 0; i < 3; i++)
            {
                Assert.Equal(ExitReason.Shutdown, m.Machine.Run(TestContext.Current.CancellationToken).Reason);
                Assert.Equal(expected, m.State.X[10]);
            }
        }
    }

    /// <summary>A host may keep a span and write through it again and again.</summary>
    [Theory]
    [MemberData(nameof(RiscVEngines.Names), MemberType = typeof(RiscVEngines))]
    public void VcpuRun_AfterWritesThroughASpanTakenBefore_RunsTheNewCode(string engine)
    {
        using BareMachine m = Prepare(engine);
        Assert.True(m.Machine.Memory.TryGetSpan(new Gpa(Patched), 4, out Span<byte> span));
        Assert.Equal(1UL, A0After(m, 3000));
        AddTwo.CopyTo(span);
        Assert.Equal(2UL, A0After(m, 3000));
        AddThree.CopyTo(span);
        Assert.Equal(3UL, A0After(m, 3000));
    }

    private static BareMachine Prepare(string engine) => new(engine, $"""
        loop: li a0, 0
        call patched
        j loop
        .org {Patched}
        patched: addi a0, a0, 1
        ret
        """);

    /// <returns>a0 where the function has returned.</returns>
    private static ulong A0After(BareMachine m, ulong instructions)
    {
        m.Vcpu.Run(instructions);
        do
            m.Vcpu.Run(1);
        while (m.State.Pc != BareMachine.Ram + 8);
        return m.State.X[10];
    }
}
