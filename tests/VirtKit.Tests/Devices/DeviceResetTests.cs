using System.Globalization;
using System.Text;
using VirtKit.Devices;
using VirtKit.Devices.Consoles;
using VirtKit.Devices.Pc;
using VirtKit.Devices.Virtio;
using VirtKit.RiscV;
using VirtKit.Tests.Devices.Support;
using VirtKit.Tests.Support;

namespace VirtKit.Tests.Devices;

/// <summary>What every device keeps over each event that takes something away, as one reviewed table: at power-on, after a guest has changed everything, and then after the event.</summary>
public sealed class DeviceResetTests
{
    [Fact]
    public void Registers_OverEveryKindOfReset_KeepWhatTheirSpecificationsSay()
    {
        var text = new StringBuilder();
        foreach (Subject subject in Subjects())
            Describe(text, subject);
        Snapshot.Verify(text.ToString().TrimStart('\n'));
    }

    private static IEnumerable<Subject> Subjects()
    {
        Register[] uart =
        [
            new("IER", 1, 0x05), new("IIR", 2), new("FCR", 2, 0x81, IsWriteOnly: true), new("LCR", 3, 0x03), new("MCR", 4, 0x1b), new("LSR", 5), new("MSR", 6), new("SCR", 7, 0x5a),
            new("RBR", 0), new("THR", 0, 0x41, IsWriteOnly: true), new("DLAB", 3, 0x83, IsWriteOnly: true), new("DLL", 0, 0x12), new("DLM", 1, 0x34), new("LCR", 3, 0x03),
        ];
        yield return new Subject("uart (PC16550D table 1; without DLAB, then with it)", 1, w => new Ns16550A(w.Console, w.Clock, w.Lines[0]), uart)
        {
            Events = { ["FCR off"] = (d, _) => d.Write(2, 1, 0) },
            Prepare = d => d.Write(3, 1, 0),
            BeforeRead = (d, i) =>
            {
                if (i >= 11)
                    d.Write(3, 1, 0x83);
            },
        };
        yield return new Subject("clint (ACLINT §2, §3: MTIME and MSIP are 0; MTIMECMP is left open)", 8, w => new Aclint(w.Clock, new RiscVTimebase(w.Clock, 10_000_000), [w.Lines[0]], [w.Lines[1]]),
            [new("MSIP", 0, 1), new("MTIMECMP", 0x4000, 5), new("MTIME", 0xbff8, 0x1000)]);
        yield return new Subject("plic", 4, w => new Plic([w.Lines[0]]),
            [new("PRIORITY3", 12, 5), new("ENABLE", 0x2000, 8), new("THRESHOLD", 0x20_0000, 2), new("PENDING", 0x1000), new("CLAIM", 0x20_0004)])
        {
            Disturb = (d, _) => ((Plic)d).Input(3).Set(true),
        };
        yield return new Subject("goldfish rtc (a battery keeps the time)", 4, w => new GoldfishRtc(w.Clock, w.Lines[0]),
            [new("TIME_HIGH", 4, 0x2000_0000), new("TIME_LOW", 0, 0x10), new("ALARM_HIGH", 12, 0x1000_0000), new("ALARM_LOW", 8, 0x20), new("IRQ_ENABLED", 16, 1), new("ALARM_STATUS", 24)])
        {
            BeforeRead = (d, i) => _ = i == 0 ? d.Read(0, 4) : 0,
        };
        yield return new Subject("virtio-mmio with a console (virtio-1.2 §2.1, §2.4, §4.2.2)", 4, w => new VirtioMmio(new VirtioConsole(w.Console), w.Memory, w.Clock, w.Lines[0]),
        [
            new("Status", 0x70, 1), new("Status", 0x70, 3), new("DriverFeaturesSel", 0x24, 1, IsWriteOnly: true), new("DriverFeatures", 0x20, 1, IsWriteOnly: true), new("Status", 0x70, 0xb),
            new("QueueSel", 0x30, 1, IsWriteOnly: true), new("QueueNumMax", 0x34), new("QueueNum", 0x38, 8, IsWriteOnly: true), new("QueueDesc", 0x80, 0x8000_0000, IsWriteOnly: true),
            new("QueueDriver", 0x90, 0x8000_1000, IsWriteOnly: true), new("QueueDevice", 0xa0, 0x8000_2000, IsWriteOnly: true), new("QueueReady", 0x44, 1), new("Status", 0x70, 0xf),
            new("DeviceFeaturesSel", 0x14, 1, IsWriteOnly: true), new("DeviceFeatures", 0x10), new("InterruptStatus", 0x60), new("ConfigGeneration", 0xfc), new("Config", 0x100),
        ])
        {
            Disturb = (_, w) => ((MemoryConsole)w.Console).Resize(new ConsoleSize(80, 25)),
            Events =
            {
                ["QueueReady 0"] = (d, _) => d.Write(0x44, 4, 0),
                ["ready again"] = (d, _) =>
                {
                    d.Write(0x44, 4, 0);
                    d.Write(0x44, 4, 1);
                },
                ["Status 0"] = (d, _) => d.Write(0x70, 4, 0),
            },
        };
        yield return new Subject("pic (8259A: ICW1 clears IMR, ISR and edges)", 1, w => new I8259(w.Lines[0]).Primary,
            [new("ICW1", 0, 0x11, IsWriteOnly: true), new("ICW2", 1, 0x20, IsWriteOnly: true), new("ICW3", 1, 4, IsWriteOnly: true), new("ICW4", 1, 1, IsWriteOnly: true), new("IMR", 1, 0xfb), new("IRR", 0)])
        {
            Events = { ["ICW1"] = (d, _) => d.Write(0, 1, 0x11) },
        };
        yield return new Subject("elcr", 1, w => new I8259(w.Lines[0]).EdgeLevel, [new("ELCR1", 0, 0xff), new("ELCR2", 1, 0xff)]);
        yield return new Subject("pit, counter 2", 1, w => new I8254(w.Clock, w.Lines[0]),
            [new("control", 3, 0xb6, IsWriteOnly: true), new("count", 2, 0x34, IsWriteOnly: true), new("count", 2, 0x12, IsWriteOnly: true), new("status", 2)])
        {
            BeforeRead = (d, _) => d.Write(3, 1, 0xe8),
        };
        byte[] cmos = [0, 2, 4, 7, 8, 9, 0x32, 1, 3, 5, 10, 11, 12, 13, 14, 0x40, 0x7f];
        yield return new Subject("cmos (MC146818: the battery keeps time, memory and A; RESET clears PIE, AIE, UIE, SQWE and C)", 1, w => new CmosRtc(w.Clock, w.Lines[0]),
            [.. cmos.Select(index => new Register($"0x{index:x2}", index, index is 12 or 13 ? null : index is 11 ? 0x7eul : index is 10 ? 0x2ful : (ulong)(index % 16 + 1)))])
        {
            Write = (d, index, value) =>
            {
                d.Write(0, 1, index);
                d.Write(1, 1, value);
            },
            Read = (d, index) =>
            {
                d.Write(0, 1, index);
                return d.Read(1, 1);
            },
            Prepare = d =>
            {
                d.Write(0, 1, 11);
                d.Write(1, 1, 0x06);
            },
        };
        (string, ulong, ulong?)[] lapic =
        [
            ("ID", 0x20, 0x0500_0000), ("TPR", 0x80, 0x20), ("LDR", 0xd0, 0x0300_0000), ("DFR", 0xe0, 0x0fff_ffff), ("SVR", 0xf0, 0x1e0), ("LVT timer", 0x320, 0x2_0040), ("LVT LINT0", 0x350, 0x8700),
            ("LVT error", 0x370, 0x41), ("initial count", 0x380, 1000), ("divide", 0x3e0, 0xb), ("ICR high", 0x310, 0x0200_0000), ("IRR", 0x220, null), ("ESR", 0x280, null), ("version", 0x30, null),
        ];
        yield return new Subject("lapic (SDM 3A §11.4.7: INIT is power-up but for the ID)", 4, w => new LocalApics(w.Clock, [new ApicPins(w.Lines[0], w.Lines[1])])[0],
            [.. lapic.Select(r => new Register(r.Item1, r.Item2, r.Item3))])
        {
            // Itself, with vector 0x51: pending.
            Disturb = (d, _) => d.Write(0x300, 4, 0x4_0051),
            Events = { ["INIT"] = (d, _) => d.Write(0x300, 4, 0x8_4500) },
        };
        yield return new Subject("ioapic", 4, _ => new IoApic(_ => { }), [new("ID", 0, 0x0300_0000), new("entry 5 low", 0x1a, 0x8041), new("entry 5 high", 0x1b, 0x0200_0000)])
        {
            Write = (d, index, value) =>
            {
                d.Write(0, 4, index);
                d.Write(0x10, 4, value);
            },
            Read = (d, index) =>
            {
                d.Write(0, 4, index);
                return d.Read(0x10, 4);
            },
        };
        yield return new Subject("generation ID (a reset is no copy)", 8, w => new VirtualMachineGenerationId(new Guid("00112233-4455-6677-8899-aabbccddeeff"), w.Lines[0], id => id.Fill(0x5a)),
            [new("ID, first half", 0, 1), new("ID, second half", 8, 1)])
        {
            Events = { ["restore"] = (d, _) => ((VirtualMachineGenerationId)d).OnRestored() },
        };
        yield return new Subject("acpi-sleep", 1, _ => new AcpiSleep(_ => { }), [new("SLEEP_CONTROL", 0, 0x1c)]);
        yield return new Subject("reset", 1, _ => new ResetPort(() => { }), [new("RST_CNT", 0, 0x0a)]);
    }

    private static void Describe(StringBuilder text, Subject subject)
    {
        List<(string Name, string[] Values)> columns = [("power-on", Run(subject, changed: false, null)), ("changed", Run(subject, changed: true, null))];
        columns.AddRange(subject.Events.Select(e => (e.Key, Run(subject, changed: true, e.Value))));
        columns.Add(("machine reset", Run(subject, changed: true, (d, _) => d.Reset())));
        text.Append(CultureInfo.InvariantCulture, $"\n# {subject.Name}\n{"",-18}").AppendJoin("", columns.Select(c => $"{c.Name,18}")).Append('\n');
        string[] names = [.. subject.Readable.Select(r => r.Name), "lines", "timers"];
        for (int i = 0; i < names.Length; i++)
            text.Append(CultureInfo.InvariantCulture, $"{names[i],-18}").AppendJoin("", columns.Select(c => $"{c.Values[i],18}")).Append('\n');
    }

    /// <summary>A new device, changed or not, after an event: its registers, the lines that are up, and how many timers are set.</summary>
    private static string[] Run(Subject subject, bool changed, Action<IDevice, Wiring>? happen)
    {
        using var wiring = new Wiring();
        IDevice device = subject.Create(wiring);
        if (changed)
        {
            subject.Prepare(device);
            foreach (Register register in subject.Registers)
            {
                if (register.Value is { } value)
                    subject.Write(device, register.Offset, value);
            }

            subject.Disturb(device, wiring);
        }

        happen?.Invoke(device, wiring);
        string lines = wiring.Lines.ToString(), timers = wiring.Clock.Pending.ToString(CultureInfo.InvariantCulture);
        var values = new List<string>();
        for (int i = 0; i < subject.Registers.Length; i++)
        {
            if (subject.Registers[i].IsWriteOnly || subject.IsRepeated(i))
                continue;
            subject.BeforeRead(device, i);
            values.Add(subject.Read(device, subject.Registers[i].Offset).ToString("x", CultureInfo.InvariantCulture));
        }

        (device as IDisposable)?.Dispose();
        return [.. values, lines, timers];
    }

    private sealed record Register(string Name, ulong Offset, ulong? Value = null, bool IsWriteOnly = false);

    private sealed record Subject(string Name, int Size, Func<Wiring, IDevice> Create, Register[] Registers)
    {
        public Action<IDevice> Prepare { get; init; } = _ => { };

        public Action<IDevice, Wiring> Disturb { get; init; } = (_, _) => { };

        public Action<IDevice, int> BeforeRead { get; init; } = (_, _) => { };

        public Dictionary<string, Action<IDevice, Wiring>> Events { get; } = [];

        public Action<IDevice, ulong, ulong> Write { get => field ?? ((d, offset, value) => d.Write(offset, Size, value)); init; }

        public Func<IDevice, ulong, ulong> Read { get => field ?? ((d, offset) => d.Read(offset, Size)); init; }

        public IEnumerable<Register> Readable => Registers.Where((r, i) => !r.IsWriteOnly && !IsRepeated(i));

        /// <summary>A register that is written in several steps is shown once.</summary>
        public bool IsRepeated(int index) => Registers.Take(index).Any(r => r.Name == Registers[index].Name && !r.IsWriteOnly);
    }
}
