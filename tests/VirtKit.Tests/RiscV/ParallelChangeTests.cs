using VirtKit.RiscV;
using VirtKit.Tests.RiscV.Support;
using VirtKit.Tests.Support;

namespace VirtKit.Tests.RiscV;

/// <summary>One hart changes page tables or code while others, on threads of their own, execute and read through them: behind its fence nobody sees what was before.</summary>
public sealed class ParallelChangeTests
{
    private static uint Addi => BitConverter.ToUInt32(RiscVAssembler.Assemble("addi a0, a0, 0", 0));

    /// <summary>The page becomes the physical page whose number is the round's, modulo four.</summary>
    private static string Remap(SharedPageGuest guest) => $"""
        andi t0, s4, 3
        slli t0, t0, 10
        li t1, {SharedPageGuest.FirstEntry}
        add t0, t0, t1
        li t1, {guest.Entry}
        sd t0, 0(t1)
        """;

    /// <summary>The page's number and its function become those of the round.</summary>
    private static string Rewrite(SharedPageGuest _) => $"""
        andi t0, s4, 3
        li t1, {SharedPageGuest.Pages}
        sd t0, {SharedPageGuest.Number}(t1)
        slli t0, t0, 20
        li t2, {Addi}
        or t0, t0, t2
        sw t0, {SharedPageGuest.Difference}(t1)
        """;

    [Theory]
    [MemberData(nameof(RiscVEngines.Names), MemberType = typeof(RiscVEngines))]
    public async Task Remap_WithSbiFence_ShowsOnEveryHart(string engine)
    {
        using var guest = new SharedPageGuest(engine, g => $"{Remap(g)}\nsfence.vma s2, zero\n{SharedPageGuest.RemoteSfence}");
        await guest.Run();
    }

    [Theory]
    [MemberData(nameof(RiscVEngines.Names), MemberType = typeof(RiscVEngines))]
    public async Task Remap_WithFencesInInterruptHandlers_ShowsOnEveryHart(string engine)
    {
        using var guest = new SharedPageGuest(engine, g => $"{Remap(g)}\nsfence.vma\n{SharedPageGuest.InterruptOthers}");
        await guest.Run();
    }

    [Theory]
    [MemberData(nameof(RiscVEngines.Names), MemberType = typeof(RiscVEngines))]
    public async Task Remap_WithFencesOfTheReaders_ShowsOnEveryHart(string engine)
    {
        using var guest = new SharedPageGuest(engine, Remap, beforeUse: "sfence.vma s2, zero");
        await guest.Run();
    }

    [Theory]
    [MemberData(nameof(RiscVEngines.Names), MemberType = typeof(RiscVEngines))]
    public async Task Code_WithSbiFence_ShowsOnEveryHart(string engine)
    {
        using var guest = new SharedPageGuest(engine, g => $"{Rewrite(g)}\nfence rw,rw\n{SharedPageGuest.RemoteFenceI}");
        await guest.Run();
    }

    [Theory]
    [MemberData(nameof(RiscVEngines.Names), MemberType = typeof(RiscVEngines))]
    public async Task Code_WithFencesOfTheReaders_ShowsOnEveryHart(string engine)
    {
        using var guest = new SharedPageGuest(engine, Rewrite, beforeUse: "fence.i");
        await guest.Run();
    }

    /// <summary>A device writes the code from a thread of its own, and says in memory when it is done.</summary>
    [Theory]
    [MemberData(nameof(RiscVEngines.Names), MemberType = typeof(RiscVEngines))]
    public async Task Code_WrittenByDma_ShowsBehindFenceI(string engine)
    {
        const int Done = 0x7f0;
        AddressSpace? memory = null;
        var device = new FakeDevice
        {
            OnWrite = (_, _, round) => ThreadPool.QueueUserWorkItem(_ =>
            {
                uint number = (uint)round & 3;
                memory!.TryWrite(new Gpa(SharedPageGuest.Pages + SharedPageGuest.Number), (ulong)number);
                memory.TryWrite(new Gpa(SharedPageGuest.Pages + SharedPageGuest.Difference), Addi | number << 20);
                Thread.MemoryBarrier();
                memory.TryWrite(new Gpa(SharedPageGuest.Pages + Done), round);
            }),
        };
        using var guest = new SharedPageGuest(
            engine,
            _ => $"""
                li t0, {SharedPageGuest.Device}
                sd s4, 0(t0)
                done: ld t0, {Done}(s2)
                bne t0, s4, done
                """,
            beforeUse: "fence.i",
            device);
        memory = guest.Memory;
        await guest.Run();
    }
}
