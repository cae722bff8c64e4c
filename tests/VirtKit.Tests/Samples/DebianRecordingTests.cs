using System.Globalization;
using System.Security.Cryptography;
using VirtKit.Boot;
using VirtKit.Boot.Linux;
using VirtKit.Devices.Boards;
using VirtKit.Devices.Consoles;
using VirtKit.Devices.Networking;
using VirtKit.Devices.Storage;
using VirtKit.RiscV;
using VirtKit.State;
using VirtKit.Tests.Support;
using VirtKit.Tests.Translator;

namespace VirtKit.Tests.Samples;

/// <summary>Debian's own kernel with a shell that is typed at, frames from a peer and writes to a disk: recorded, and repeated without any of them.</summary>
public sealed class DebianRecordingTests
{
    private const int DiskSize = 8 << 20;
    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(4);

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(1, "interpreter")]
    [InlineData(2, "translator")]
    public async Task Debian_RecordedWithKeysFramesAndDiskWrites_IsRepeatedFromAnyPlace(int vcpus, string engine)
    {
        using var recorded = new Session(vcpus, "translator");
        recorded.Boot();
        recorded.Machine.StartRecording();
        var peer = new EchoPeer(recorded.Network);
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(Cancellation);
        Task<VcpuExit> run = recorded.Console.Follow(recorded.Machine.RunAsync(stop.Token));
        try
        {
            LinuxShell shell = await LinuxShell.OpenAsync(recorded.Console, Limit, Cancellation);
            await Expect(0, "ifconfig eth0 10.0.0.1 up");
            await Expect(0, "(for i in 1 2 3 4 5 6 7 8; do dd if=/dev/hwrng of=/dev/vda bs=64k seek=$((i * 8)) count=4 conv=fsync 2>/dev/null; done) & ping -c 30 -i 0.01 10.0.0.2; wait");
            await Expect(0, "md5sum /dev/vda; cat /proc/interrupts");
            await Assert.ThrowsAsync<GuestEndedException>(() => shell.RunAsync("poweroff -f", Limit, Cancellation));
            Assert.Equal(ExitReason.Shutdown, (await run).Reason);

            async Task Expect(int status, string command)
            {
                ShellResult result = await shell.RunAsync(command, Limit, Cancellation);
                Assert.True(result.ExitStatus == status, $"{command}: {result.ExitStatus}\n{result.Output}");
            }
        }
        finally
        {
            await stop.CancelAsync();
            await run;
        }

        Assert.InRange(peer.Answered, 25, 30);
        using MachineRecording recording = recorded.Machine.StopRecording();
        Assert.InRange(recording.LogSize, 1000, 2 << 20);
        string expected = recorded.Describe();

        using var repeated = new Session(vcpus, engine);
        ulong length = recording.LastInstruction - recording.FirstInstruction;
        repeated.Machine.Replay(recording, new ReplayOptions { CheckpointDistance = length / 50 });
        Assert.Equal(ExitReason.ReplayEnded, repeated.Machine.GoTo(recording.LastInstruction, Cancellation).Reason);
        Assert.Equal(expected, repeated.Describe());
        // Back to places where keys, frames and writes are under way, and on from there.
        Random random = Seed.Random();
        for (int i = 0; i < 4; i++)
        {
            ulong back = (ulong)random.NextInt64((long)length / 4);
            Assert.Equal(ExitReason.BudgetExhausted, repeated.Machine.StepBack(back + 1, Cancellation).Reason);
            Assert.Equal(recording.LastInstruction - back - 1, repeated.Machine.Retired);
            Assert.Equal(ExitReason.ReplayEnded, repeated.Machine.GoTo(recording.LastInstruction, Cancellation).Reason);
            Assert.Equal(expected, repeated.Describe());
        }
    }

    /// <summary>A board with all that the test looks at.</summary>
    private sealed class Session : IDisposable
    {
        private readonly OverlayBlockBackend _disk = new(new MemoryBlockBackend(DiskSize));
        private readonly RiscVVirt _board;
        private readonly LinuxGuestFiles _files;

        public Session(int vcpus, string engine)
        {
            Translators.Require();
            _files = Require.Debian(DebianGuest.RiscV64);
            _board = new RiscVVirt(new RiscVVirtOptions
            {
                Machine = new MachineOptions
                {
                    Architecture = new RiscVArchitecture { Sbi = new SbiOptions() }, Engine = RiscVEngines.Create(engine), VcpuCount = vcpus, WhenHalted = HaltPolicy.Wait,
                },
                Console = Console,
                Networks = [Network.AddPort()],
                Disks = [_disk],
                MemorySize = 128 << 20,
                CommandLine = "console=ttyS0 earlycon=sbi",
            });
        }

        public MemoryConsole Console { get; } = new();

        public NetworkSwitch Network { get; } = new();

        public Machine Machine => _board.Machine;

        public void Boot()
        {
            Gpa entry = LinuxImage.Parse(File.ReadAllBytes(_files.Kernel)).Load(Machine.Memory, RiscVVirt.KernelAddress);
            _board.LoadInitrd(BusyboxInitramfs.Build(_files));
            _board.BootSupervisor(entry);
        }

        public void Dispose()
        {
            _board.Dispose();
            _disk.Dispose();
        }

        /// <returns>Counts, time, hashes of memory and disk, and the console.</returns>
        public string Describe()
        {
            MemoryRegion ram = Machine.Memory.Regions.Where(region => region is { IsMemory: true, IsWritable: true }).MaxBy(region => region.Size)!;
            Assert.True(Machine.Memory.TryGetSpan(ram.Start, checked((int)ram.Size), out Span<byte> memory));
            byte[] disk = new byte[DiskSize];
            _disk.Read(0, disk);
            return string.Create(CultureInfo.InvariantCulture,
                $"{Machine.Clock.Now} ns {string.Join(' ', Machine.Vcpus.Select(vcpu => vcpu.Counters.Retired))} {Convert.ToHexString(SHA256.HashData(memory))} {Convert.ToHexString(SHA256.HashData(disk))}\n{Console.Output}");
        }
    }
}
