using VirtKit.RiscV;
using VirtKit.Tests.Support;

namespace VirtKit.Tests.RiscV.Support;

/// <summary>Harts on threads that read and execute one virtual page, while hart 0 changes what it is, round by round. A round's number stands in memory before and
/// behind its change: what a reader sees between two looks at the same number has to be that round's, whole. Every round waits until every reader has seen it.</summary>
internal sealed class SharedPageGuest : IDisposable
{
    public const int Harts = 3, Rounds = 60;

    /// <summary>The page that readers use.</summary>
    public const ulong Page = 0x4000_0000;

    /// <summary>Four physical pages, each with its number and a function that returns twenty times its number.</summary>
    public const ulong Pages = BareMachine.Ram + 0x11_0000;

    /// <summary>Where in a page its number stands, and where the instruction that makes its function differ.</summary>
    public const int Number = 0x7f8, Difference = 8;

    private const ulong Variables = BareMachine.Ram + 0x10_0000;
    private const int Failed = 128, Acknowledged = 192;

    private readonly BareMachine _machine;

    /// <param name="change">The writer's code for a round, whose number is in s4: changes and fences. t-registers and a-registers are free, s2 is the page.</param>
    /// <param name="beforeUse">What a reader does between its first look at the number and its use of the page.</param>
    public SharedPageGuest(string engine, Func<SharedPageGuest, string> change, string beforeUse = "", IDevice? device = null)
    {
        _machine = new BareMachine(engine, "nop", vcpus: Harts, sbi: new SbiOptions(), scheduling: VcpuScheduling.Threads);
        foreach (Vcpu vcpu in _machine.Machine.Vcpus)
        {
            RiscVState state = vcpu.GetState<RiscVState>();
            state.Mideleg = 1 << 1;
            vcpu.SetState(state);
        }

        if (device is not null)
            _machine.Machine.Memory.Map(new Gpa(Device), device);
        var tables = new PageTables(_machine, 3);
        // All of RAM and the device at their own addresses.
        tables.Map(BareMachine.Ram, BareMachine.Ram, PageTables.All, level: 2);
        tables.Map(Device, Device, PageTables.All);
        Entry = tables.Map(Page, Pages, PageTables.All);
        for (ulong i = 0; i < 4; i++)
        {
            _machine.Write(Pages + i * 0x1000, $"""
                li a0, 0
                li t0, 20
                again: addi a0, a0, {i}
                addi t0, t0, -1
                bnez t0, again
                ret
                """);
            _machine.Write(Pages + i * 0x1000 + Number, i);
        }

        _machine.Write(BareMachine.Ram, Source(tables.Satp, change(this), beforeUse));
    }

    /// <summary>Where a device is.</summary>
    public static ulong Device => 0x1000_0000;

    /// <summary>The address of the shared page's page-table entry, and what it is for the first of <see cref="Pages"/>.</summary>
    public ulong Entry { get; }

    public static ulong FirstEntry => Pages >> 2 | PageTables.All;

    public AddressSpace Memory => _machine.Machine.Memory;

    /// <summary>Fences the other harts' translation of the page through SBI.</summary>
    public static string RemoteSfence => $"""
        li a7, 0x52464e43
        li a6, 1
        li a0, {(1 << Harts) - 2}
        li a1, 0
        li a2, {Page}
        li a3, 0x1000
        ecall
        """;

    /// <summary>Fences every hart's code through SBI.</summary>
    public static string RemoteFenceI => """
        li a7, 0x52464e43
        li a6, 0
        li a0, 0
        li a1, -1
        ecall
        """;

    /// <summary>Interrupts the other harts, whose handlers fence all translations, and waits for them.</summary>
    public static string InterruptOthers => $"""
        sd zero, {Acknowledged}(s1)
        fence rw,rw
        li a7, 0x735049
        li a6, 0
        li a0, {(1 << Harts) - 2}
        li a1, 0
        ecall
        li t1, {Harts - 1}
        acknowledge: ld t0, {Acknowledged}(s1)
        bne t0, t1, acknowledge
        """;

    /// <summary>Runs all rounds.</summary>
    public async Task Run()
    {
        Task<VcpuExit> run = _machine.Machine.RunAsync();
        if (await Task.WhenAny(run, Task.Delay(Hang.Limit)) != run)
        {
            _machine.Machine.RequestShutdown(0);
            await run;
            Assert.Fail($"Round {_machine.Read(Variables)} does not end; {string.Join("; ", _machine.Machine.Vcpus.Select(v => v.GetState<RiscVState>()).Select(
                s => $"pc {s.Pc:x} scause {s.Scause:x} sepc {s.Sepc:x} s6 {s.X[22]:x}"))}");
        }

        Assert.Equal(new VcpuExit(ExitReason.Shutdown), await run);
        Assert.True(
            _machine.Read(Variables + Failed) == 0,
            $"Round {_machine.Read(Variables + Failed + 8)}: read {_machine.Read(Variables + Failed + 16)}, called {_machine.Read(Variables + Failed + 24)}");
        Assert.Equal((ulong)Rounds, _machine.Read(Variables));
    }

    public void Dispose() => _machine.Dispose();

    private static string Source(ulong satp, string change, string beforeUse) => $"""
        mv s0, a0
        li s1, {Variables}
        li s2, {Page}
        li t0, {(long)satp}
        csrw satp, t0
        sfence.vma
        la t0, handler
        csrw stvec, t0
        li s10, {Variables + Acknowledged}
        li s11, 1
        csrsi sie, 2
        csrsi sstatus, 2
        bnez s0, reader
        li s4, 0
        round: addi s4, s4, 1
        sd s4, 0(s1)
        fence rw,rw
        {change}
        fence rw,rw
        sd s4, 64(s1)
        li t1, {Harts - 1}
        addi t2, s1, 320
        await: ld t3, {Failed}(s1)
        bnez t3, finish
        ld t3, 0(t2)
        bne t3, s4, await
        addi t2, t2, 64
        addi t1, t1, -1
        bnez t1, await
        li t0, {Rounds}
        blt s4, t0, round
        finish: li a7, 0x53525354
        li a6, 0
        li a0, 0
        li a1, 0
        ecall
        stay: j stay
        reader: slli t0, s0, 6
        add s5, s1, t0
        look: ld s6, 64(s1)
        beqz s6, look
        fence rw,rw
        {beforeUse}
        ld s7, {Number}(s2)
        jalr ra, 0(s2)
        fence rw,rw
        ld s8, 0(s1)
        bne s8, s6, look
        andi t0, s6, 3
        li t1, 20
        mul t1, t1, t0
        bne s7, t0, fail
        bne a0, t1, fail
        sd s6, 256(s5)
        j look
        fail: sd s6, {Failed + 8}(s1)
        sd s7, {Failed + 16}(s1)
        sd a0, {Failed + 24}(s1)
        li t0, 1
        sd t0, {Failed}(s1)
        j stay
        .align 4
        handler: csrci sip, 2
        sfence.vma
        fence rw,rw
        amoadd.d zero, s11, (s10)
        sret
        """;
}
