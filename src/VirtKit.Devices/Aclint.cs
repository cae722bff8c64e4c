using VirtKit.Boot;
using VirtKit.RiscV;
using VirtKit.State;

namespace VirtKit.Devices;

/// <summary>The core-local interruptor in SiFive's CLINT layout: software and timer interrupts of machine mode, one of each a hart (RISC-V ACLINT 1.0).</summary>
/// <remarks>
/// Register map (32 bits wide, the 64-bit registers also whole):
/// <code>
/// 0x0000 + 4 * hart  MSIP      RW  bit 0: the hart's machine software interrupt
/// 0x4000 + 8 * hart  MTIMECMP  RW  the hart's machine timer interrupt is asserted while MTIME >= MTIMECMP; all ones at reset
/// 0xbff8             MTIME     RW  ticks of the timebase; 0 at reset
/// </code>
/// The CSR <c>time</c> of the harts is a shadow of MTIME: writing it moves theirs too, and what they compare with it, where they share the <see cref="RiscVTimebase"/>.
/// </remarks>
public sealed class Aclint : IDevice, IFdtNode, ISnapshotable, IDisposable
{
    /// <summary>The most harts that the layout has room for.</summary>
    public const int MaximumHarts = 4095;

    private const ulong MtimecmpStart = 0x4000, Mtime = 0xbff8;

    // Wiring.
    private readonly RiscVTimebase _time;
    private readonly InterruptLine[] _software;
    private readonly InterruptLine[] _timer;
    private readonly ClockTimer[] _deadlines;

    // Guest-visible state.
    private State[] _state;

    /// <summary>Creates the interruptor.</summary>
    /// <param name="clock">The machine's time.</param>
    /// <param name="time">What MTIME is: <see cref="RiscVPlatform.Timebase"/> of the machine.</param>
    /// <param name="software">The line into each hart's MSIP pin, 1 to <see cref="MaximumHarts"/>.</param>
    /// <param name="timer">The line into each hart's MTIP pin, as many.</param>
    public Aclint(MachineClock clock, RiscVTimebase time, IReadOnlyList<InterruptLine> software, IReadOnlyList<InterruptLine> timer)
    {
        ArgumentNullException.ThrowIfNull(clock);
        ArgumentNullException.ThrowIfNull(software);
        ArgumentNullException.ThrowIfNull(timer);
        ArgumentNullException.ThrowIfNull(time);
        ArgumentOutOfRangeException.ThrowIfZero(software.Count, nameof(software));
        ArgumentOutOfRangeException.ThrowIfGreaterThan(software.Count, MaximumHarts, nameof(software));
        ArgumentOutOfRangeException.ThrowIfNotEqual(timer.Count, software.Count, nameof(timer));
        _time = time;
        _software = [.. software];
        _timer = [.. timer];
        _deadlines = new ClockTimer[timer.Count];
        for (int i = 0; i < _deadlines.Length; i++)
        {
            int hart = i;
            _deadlines[i] = clock.CreateTimer(this, () => Compare(hart));
        }

        _state = AtReset();
    }

    /// <inheritdoc/>
    public DeviceWindow Window => new("clint", 0x10000, AccessWidths.Word | AccessWidths.DoubleWord);

    /// <inheritdoc/>
    public ulong Read(ulong offset, int size)
    {
        ulong whole = Register(offset & ~7ul);
        return (offset & 4) != 0 ? whole >> 32 : whole;
    }

    /// <inheritdoc/>
    public void Write(ulong offset, int size, ulong value)
    {
        ulong aligned = offset & ~7ul;
        if (size == 4)
        {
            ulong whole = Register(aligned);
            value = (offset & 4) != 0 ? (uint)whole | value << 32 : whole & 0xffff_ffff_0000_0000 | (uint)value;
        }

        if (aligned == Mtime)
        {
            _time.Now = value;
            for (int hart = 0; hart < _timer.Length; hart++)
                Compare(hart);
        }
        else if (aligned < MtimecmpStart)
        {
            SetSoftware((int)(aligned / 4), (uint)value);
            SetSoftware((int)(aligned / 4) + 1, (uint)(value >> 32));
        }
        else if ((aligned - MtimecmpStart) / 8 < (ulong)_timer.Length)
        {
            int hart = (int)((aligned - MtimecmpStart) / 8);
            _state[hart].Mtimecmp = value;
            Compare(hart);
        }
    }

    /// <inheritdoc/>
    public void Reset()
    {
        _state = AtReset();
        _time.Now = 0;
        for (int hart = 0; hart < _timer.Length; hart++)
        {
            _deadlines[hart].Cancel();
            _software[hart].Set(false);
            _timer[hart].Set(false);
        }
    }

    /// <inheritdoc/>
    public void Describe(FdtBuilder fdt, FdtResources resources) => fdt.BeginDevice("clint", Window.Size, resources, "sifive,clint0", "riscv,clint0").EndNode();

    /// <summary>The registers but for MTIME, which is the timebase's.</summary>
    public void Visit(StateVisitor visitor)
    {
        ArgumentNullException.ThrowIfNull(visitor);
        State[] state = [.. _state];
        visitor.Version(1);
        visitor.Parts<State>("hart", state);
        if (!visitor.IsReading)
            return;
        _state = state;
        for (int hart = 0; hart < _timer.Length; hart++)
        {
            _software[hart].Set(state[hart].Msip);
            Compare(hart);
        }
    }

    /// <summary>Releases the timers.</summary>
    public void Dispose()
    {
        foreach (ClockTimer deadline in _deadlines)
            deadline.Dispose();
    }

    /// <summary>The eight bytes at an aligned offset.</summary>
    private ulong Register(ulong aligned)
    {
        if (aligned == Mtime)
            return _time.Now;
        if (aligned < MtimecmpStart)
            return Software((int)(aligned / 4)) | (ulong)Software((int)(aligned / 4) + 1) << 32;
        ulong hart = (aligned - MtimecmpStart) / 8;
        return hart < (ulong)_timer.Length ? _state[hart].Mtimecmp : 0;
    }

    private uint Software(int hart) => hart < _software.Length && _state[hart].Msip ? 1u : 0;

    private void SetSoftware(int hart, uint value)
    {
        if (hart >= _software.Length)
            return;
        _state[hart].Msip = (value & 1) != 0;
        _software[hart].Set(_state[hart].Msip);
    }

    /// <summary>Sets the hart's timer line, and the clock's timer for when it will change.</summary>
    private void Compare(int hart)
    {
        _timer[hart].Set(_time.IsReached(_state[hart].Mtimecmp, out ulong next));
        if (next == ulong.MaxValue)
            _deadlines[hart].Cancel();
        else
            _deadlines[hart].Set(next);
    }

    private State[] AtReset()
    {
        var state = new State[_timer.Length];
        Array.Fill(state, new State { Mtimecmp = ulong.MaxValue });
        return state;
    }

    /// <summary>One hart's registers.</summary>
    private struct State : ISnapshotable
    {
        public bool Msip;
        public ulong Mtimecmp;

        public void Visit(StateVisitor visitor)
        {
            visitor.Field("msip", ref Msip);
            visitor.Field("mtimecmp", ref Mtimecmp);
        }
    }
}
