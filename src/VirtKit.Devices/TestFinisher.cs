using VirtKit.Boot;
using VirtKit.State;

namespace VirtKit.Devices;

/// <summary>The SiFive test finisher: one register through which a guest ends the run. As a syscon it also serves Linux's power-off and reboot drivers.</summary>
/// <remarks>
/// Register map (16 or 32 bits wide):
/// <code>
/// 0x0  FINISH  W  15:0 command (0x3333 fail, 0x5555 pass, 0x7777 reset), 31:16 exit code of a failure; reads 0
/// </code>
/// </remarks>
/// <param name="shutdown">Called with the exit code, 0 to 65535: <see cref="Machine.RequestShutdown"/>.</param>
/// <param name="reset">Called to reset: <see cref="Machine.RequestReset"/>.</param>
public sealed class TestFinisher(Action<int> shutdown, Action reset) : IDevice, IFdtNode, ISnapshotable
{
    /// <summary>The command that powers off with a failure.</summary>
    public const ushort Fail = 0x3333;

    /// <summary>The command that powers off with success.</summary>
    public const ushort Pass = 0x5555;

    /// <summary>The command that resets.</summary>
    public const ushort Restart = 0x7777;

    private readonly Action<int> _shutdown = shutdown ?? throw new ArgumentNullException(nameof(shutdown));
    private readonly Action _reset = reset ?? throw new ArgumentNullException(nameof(reset));

    /// <inheritdoc/>
    public DeviceWindow Window => new("test", 0x1000, AccessWidths.HalfWord | AccessWidths.Word);

    /// <inheritdoc/>
    public ulong Read(ulong offset, int size) => 0;

    /// <inheritdoc/>
    public void Write(ulong offset, int size, ulong value)
    {
        if (offset != 0)
            return;
        switch ((ushort)value)
        {
            case Fail:
                _shutdown((int)(value >> 16 & 0xffff));
                break;
            case Pass:
                _shutdown(0);
                break;
            case Restart:
                _reset();
                break;
        }
    }

    /// <inheritdoc/>
    public void Reset() { }

    /// <summary>Nothing: the device keeps no state.</summary>
    public void Visit(StateVisitor visitor)
    {
        ArgumentNullException.ThrowIfNull(visitor);
        visitor.Version(1);
    }

    /// <inheritdoc/>
    public void Describe(FdtBuilder fdt, FdtResources resources) =>
        fdt.BeginDevice("test", Window.Size, resources, "sifive,test1", "sifive,test0", "syscon").EndNode();
}
