using System.Buffers.Binary;
using VirtKit.Boot;
using VirtKit.Boot.Acpi;
using VirtKit.State;

namespace VirtKit.Devices.Virtio;

/// <summary>The memory-mapped virtio transport, modern only (virtio-1.2 §4.2).</summary>
/// <remarks>
/// Register map (32 bits wide; narrower accesses read 0 and write nothing, but the configuration space takes any width; 64 bits are two accesses):
/// <code>
/// 0x000  MagicValue         R   "virt"              0x060  InterruptStatus   R   0 used buffer, 1 configuration change
/// 0x004  Version            R   2                   0x064  InterruptACK      W
/// 0x008  DeviceID           R   0: nothing here     0x070  Status            RW  0 resets
/// 0x00c  VendorID           R                       0x080  QueueDescLow      W   0x084  QueueDescHigh
/// 0x010  DeviceFeatures     R                       0x090  QueueDriverLow    W   0x094  QueueDriverHigh
/// 0x014  DeviceFeaturesSel  W                       0x0a0  QueueDeviceLow    W   0x0a4  QueueDeviceHigh
/// 0x020  DriverFeatures     W                       0x0ac  SHMSel            W   shared memory is not modelled:
/// 0x024  DriverFeaturesSel  W                       0x0b0  SHMLen, SHMBase   R   all ones
/// 0x030  QueueSel           W                       0x0c0  QueueReset        RW  not offered, reads 0
/// 0x034  QueueNumMax        R                       0x0fc  ConfigGeneration  R
/// 0x038  QueueNum           W                       0x100  Config            RW  the device's own
/// 0x044  QueueReady         RW
/// 0x050  QueueNotify        W
/// </code>
/// </remarks>
public sealed class VirtioMmio : IDevice, IFdtNode, IAcpiNode, IVirtioTransport, ISnapshotable, IDisposable
{
    private const int MagicValue = 0x000, Version = 0x004, DeviceId = 0x008, VendorId = 0x00c, DeviceFeatures = 0x010, DeviceFeaturesSel = 0x014,
        DriverFeatures = 0x020, DriverFeaturesSel = 0x024, QueueSel = 0x030, QueueNumMax = 0x034, QueueNum = 0x038, QueueReady = 0x044, QueueNotify = 0x050,
        InterruptStatus = 0x060, InterruptAck = 0x064, Status = 0x070, QueueDescLow = 0x080, QueueDescHigh = 0x084, QueueDriverLow = 0x090,
        QueueDriverHigh = 0x094, QueueDeviceLow = 0x0a0, QueueDeviceHigh = 0x0a4, ShmFirst = 0x0b0, ShmLast = 0x0bc, ConfigGeneration = 0x0fc, Config = 0x100;

    private const uint Magic = 0x7472_6976, Vendor = 0x5449_4b56;
    private const uint FeaturesOk = 0x08, DriverOk = 0x04, NeedsReset = 0x40, StatusMask = 0xff;
    private const uint UsedBuffer = 1, ConfigurationChange = 2;
    private const int IndirectDescriptorsBit = 28, EventIndexBit = 29, Version1Bit = 32;
    private const ulong TransportFeatures = 1ul << IndirectDescriptorsBit | 1ul << EventIndexBit | 1ul << Version1Bit;

    /// <summary>How long a queue that had its turn leaves the gate to others before the next one, in nanoseconds.</summary>
    private const ulong TurnPause = 10_000;

    // Wiring.
    private readonly VirtioDevice _device;
    private readonly MachineClock _clock;
    private readonly InterruptLine _line;
    private readonly ClockTimer _nextTurn;
    private readonly Virtqueue[] _queues;
    private readonly MachineInput[] _woken;
    private readonly MachineInput _outside;

    // Guest-visible state; the queues have their own.
    private State _state;

    /// <summary>Puts a device behind the transport.</summary>
    /// <param name="device">The device, not attached yet.</param>
    /// <param name="memory">The memory where the queues and buffers lie.</param>
    /// <param name="clock">Spaces out the turns of a queue that has more to do than one turn allows; what happens on the host's side comes in by its door
    /// (<see cref="MachineClock.CreateInput"/>).</param>
    /// <param name="line">The interrupt.</param>
    /// <exception cref="InvalidOperationException">The device is attached to another transport, which has not been disposed of.</exception>
    public VirtioMmio(VirtioDevice device, AddressSpace memory, MachineClock clock, InterruptLine line)
    {
        ArgumentNullException.ThrowIfNull(device);
        ArgumentNullException.ThrowIfNull(memory);
        ArgumentNullException.ThrowIfNull(clock);
        _device = device;
        _clock = clock;
        _line = line;
        _nextTurn = clock.CreateTimer(this, TakeDeferredTurns);
        _queues = new Virtqueue[device.QueueSizes.Count];
        _woken = new MachineInput[_queues.Length];
        for (int i = 0; i < _queues.Length; i++)
        {
            int queue = i;
            _queues[i] = new Virtqueue(memory, device.QueueSizes[i], () => Interrupt(UsedBuffer), Fail);
            _woken[i] = clock.CreateInput(this, () => ProcessWoken(queue));
        }

        _outside = clock.CreateInput(this, ChangeConfiguration);
        device.Attach(this);
    }

    /// <inheritdoc/>
    public DeviceWindow Window => new(_device.Name, 0x1000, AccessWidths.Byte | AccessWidths.HalfWord | AccessWidths.Word, UndeclaredAccess.Split);

    /// <summary>Whether it has been disposed of.</summary>
    internal bool IsDisposed { get; private set; }

    ulong IVirtioTransport.NegotiatedFeatures => NegotiatedFeatures;

    bool IVirtioTransport.IsDisposed => IsDisposed;

    MachineInput IVirtioTransport.Outside => _outside;

    private ulong NegotiatedFeatures => (_state.Status & FeaturesOk) != 0 ? _state.DriverFeatures : 0;

    private ulong OfferedFeatures => _device.Features | TransportFeatures;

    private bool IsRunning => (_state.Status & (DriverOk | NeedsReset)) == DriverOk;

    /// <inheritdoc/>
    public ulong Read(ulong offset, int size)
    {
        if (offset >= Config)
            return ReadConfiguration((int)offset - Config, size);
        if (size != 4)
            return 0;
        return (int)offset switch
        {
            MagicValue => Magic,
            Version => 2,
            DeviceId => _device.DeviceId,
            VendorId => Vendor,
            DeviceFeatures => _state.DeviceFeaturesSel < 2 ? (uint)(OfferedFeatures >> (int)_state.DeviceFeaturesSel * 32) : 0,
            QueueNumMax => (uint)(Selected?.MaximumSize ?? 0),
            QueueReady => Selected is { IsReady: true } ? 1u : 0,
            InterruptStatus => _state.InterruptStatus,
            Status => _state.Status,
            >= ShmFirst and <= ShmLast => uint.MaxValue,
            ConfigGeneration => _state.Generation,
            _ => 0,
        };
    }

    /// <inheritdoc/>
    public void Write(ulong offset, int size, ulong value)
    {
        if (offset >= Config)
        {
            WriteConfiguration((int)offset - Config, size, value);
            return;
        }

        if (size != 4)
            return;
        uint written = (uint)value;
        switch ((int)offset)
        {
            case DeviceFeaturesSel:
                _state.DeviceFeaturesSel = written;
                break;
            case DriverFeatures when (_state.Status & FeaturesOk) == 0 && _state.DriverFeaturesSel < 2:
                SetHalf(ref _state.DriverFeatures, written, (int)_state.DriverFeaturesSel);
                break;
            case DriverFeaturesSel:
                _state.DriverFeaturesSel = written;
                break;
            case QueueSel:
                _state.QueueSel = written;
                break;
            case QueueReady when Selected is { } queue:
                SetReady(queue, written);
                break;
            case QueueNotify:
                if (IsRunning && written < (uint)_queues.Length)
                    TakeTurn((int)written);
                break;
            case InterruptAck:
                _state.InterruptStatus &= ~written;
                UpdateLine();
                break;
            case Status:
                WriteStatus(written & StatusMask);
                break;
            default:
                if (Selected is { IsReady: false } configured)
                    Configure(ref configured.Registers, (int)offset, written);
                break;
        }
    }

    /// <inheritdoc/>
    public void Reset()
    {
        // The generation only ever counts on: a driver that read before the reset must not take what it read for current.
        _state = new State { Generation = _state.Generation };
        _nextTurn.Cancel();
        foreach (Virtqueue queue in _queues)
            queue.Reset();
        _device.Reset();
        UpdateLine();
    }

    /// <inheritdoc/>
    public void Describe(FdtBuilder fdt, FdtResources resources) => fdt.BeginDevice("virtio_mmio", Window.Size, resources, "virtio,mmio").EndNode();

    /// <inheritdoc/>
    public void Describe(AmlBuilder aml, AcpiResources resources) => aml.BeginDevice(resources, "LNRO0005", AcpiTrigger.Level).Name("_CCA", 1).End();

    /// <summary>The transport's state, that of its queues and of the device. Guest memory is what it was, or has been restored before.</summary>
    public void Visit(StateVisitor visitor)
    {
        ArgumentNullException.ThrowIfNull(visitor);
        State state = _state;
        visitor.Version(1);
        visitor.Field("status", ref state.Status);
        visitor.Field("device features sel", ref state.DeviceFeaturesSel);
        visitor.Field("driver features sel", ref state.DriverFeaturesSel);
        visitor.Field("driver features", ref state.DriverFeatures);
        visitor.Field("queue sel", ref state.QueueSel);
        visitor.Field("interrupt status", ref state.InterruptStatus);
        visitor.Field("generation", ref state.Generation);
        visitor.Field("changed before ok", ref state.ChangedBeforeOk);
        visitor.Require(state.Status <= StatusMask, "status", $"is 0x{state.Status:x}");
        visitor.Require((state.Status & FeaturesOk) == 0 || IsAcceptable(state.DriverFeatures), "driver features", "has what the device does not offer");
        visitor.Require((state.Status & (DriverOk | FeaturesOk)) != DriverOk, "status", "has DRIVER_OK without FEATURES_OK");
        visitor.Require((state.InterruptStatus & ~(UsedBuffer | ConfigurationChange)) == 0, "interrupt status", $"is 0x{state.InterruptStatus:x}");
        var queues = new Virtqueue.State[_queues.Length];
        for (int i = 0; i < queues.Length; i++)
        {
            queues[i] = _queues[i].Registers;
            visitor.Part($"queue{i}", ref queues[i]);
            visitor.Require(_queues[i].IsSound(queues[i]), $"queue{i}", "is ready and does not lie in memory as it must");
        }

        visitor.Part("device", _device);
        if (!visitor.IsReading)
            return;
        _state = state;
        bool deferred = false;
        for (int i = 0; i < queues.Length; i++)
        {
            _queues[i].Registers = queues[i];
            deferred |= queues[i].IsDeferred;
        }

        _nextTurn.Set(deferred ? _clock.After(TurnPause) : ulong.MaxValue);
        UpdateLine();
    }

    /// <summary>Releases the timer. The device stays its owner's, and may be attached to another transport.</summary>
    public void Dispose()
    {
        IsDisposed = true;
        _nextTurn.Dispose();
    }

    Virtqueue IVirtioTransport.Queue(int index) => _queues[index];

    void IVirtioTransport.Wake(int queue) => _woken[queue].Announce();

    void IVirtioTransport.ChangeConfiguration() => _outside.Announce();

    private void ProcessWoken(int queue)
    {
        if (!IsDisposed && IsRunning)
            TakeTurn(queue);
    }

    private void ChangeConfiguration()
    {
        if (IsDisposed || !_device.UpdateConfiguration())
            return;
        _state.Generation++;
        if ((_state.Status & DriverOk) != 0)
            Interrupt(ConfigurationChange);
        else
            _state.ChangedBeforeOk = true;
    }

    private Virtqueue? Selected => _state.QueueSel < (uint)_queues.Length ? _queues[_state.QueueSel] : null;

    private static void SetHalf(ref ulong whole, uint value, int half) => whole = whole & ~(0xffff_fffful << half * 32) | (ulong)value << half * 32;

    private static void Configure(ref Virtqueue.State queue, int offset, uint value)
    {
        switch (offset)
        {
            case QueueNum:
                queue.Size = (int)Math.Min(value, int.MaxValue);
                break;
            case QueueDescLow or QueueDescHigh:
                SetHalf(ref queue.Descriptors, value, offset >> 2 & 1);
                break;
            case QueueDriverLow or QueueDriverHigh:
                SetHalf(ref queue.Available, value, offset >> 2 & 1);
                break;
            case QueueDeviceLow or QueueDeviceHigh:
                SetHalf(ref queue.Used, value, offset >> 2 & 1);
                break;
        }
    }

    private void SetReady(Virtqueue queue, uint value)
    {
        if (value == 0)
        {
            queue.Stop();
        }
        else if (value == 1 && !queue.IsReady && (_state.Status & (FeaturesOk | NeedsReset)) == FeaturesOk)
        {
            QueueFeatures features = ((NegotiatedFeatures >> IndirectDescriptorsBit & 1) != 0 ? QueueFeatures.IndirectDescriptors : 0)
                | ((NegotiatedFeatures >> EventIndexBit & 1) != 0 ? QueueFeatures.EventIndex : 0);
            if (!queue.TryEnable(features))
                Fail();
        }
    }

    /// <summary>The driver only adds bits, or writes 0 to reset (virtio-1.2 §2.1).</summary>
    private void WriteStatus(uint value)
    {
        if (value == 0)
        {
            Reset();
            return;
        }

        uint added = value & ~_state.Status & ~NeedsReset;
        if ((added & FeaturesOk) != 0 && !IsAcceptable(_state.DriverFeatures))
            added &= ~FeaturesOk;
        if ((added & DriverOk) != 0 && ((_state.Status | added) & FeaturesOk) == 0)
            added &= ~DriverOk;
        _state.Status |= added;
        if ((added & DriverOk) == 0)
            return;
        // A driver that read the space while it set itself up could not be told of a change until now.
        if (_state.ChangedBeforeOk)
            Interrupt(ConfigurationChange);
        _state.ChangedBeforeOk = false;
        // Buffers may have been made available before the driver said that it is ready.
        for (int queue = 0; queue < _queues.Length && IsRunning; queue++)
            TakeTurn(queue);
    }

    private bool IsAcceptable(ulong features) => (features & ~OfferedFeatures) == 0 && (features >> Version1Bit & 1) != 0;

    private void TakeTurn(int queue)
    {
        _queues[queue].BeginTurn();
        _device.Process(queue);
        if (_queues[queue].IsDeferred && IsRunning)
            _nextTurn.Set(_clock.After(TurnPause));
    }

    private void TakeDeferredTurns()
    {
        for (int queue = 0; queue < _queues.Length; queue++)
        {
            if (_queues[queue].IsDeferred && IsRunning)
                TakeTurn(queue);
        }
    }

    private ulong ReadConfiguration(int offset, int size)
    {
        int length = _device.ConfigurationSize;
        if (offset + size > length)
            return 0;
        Span<byte> configuration = stackalloc byte[length];
        configuration.Clear();
        _device.ReadConfiguration(configuration);
        Span<byte> value = stackalloc byte[8];
        value.Clear();
        configuration.Slice(offset, size).CopyTo(value);
        return BinaryPrimitives.ReadUInt64LittleEndian(value);
    }

    private void WriteConfiguration(int offset, int size, ulong value)
    {
        if (offset + size > _device.ConfigurationSize)
            return;
        Span<byte> bytes = stackalloc byte[8];
        BinaryPrimitives.WriteUInt64LittleEndian(bytes, value);
        _device.WriteConfiguration(offset, bytes[..size]);
    }

    private void Interrupt(uint cause)
    {
        _state.InterruptStatus |= cause;
        UpdateLine();
    }

    /// <summary>The driver broke the rules: nothing goes on until it resets the device (virtio-1.2 §2.1.2).</summary>
    private void Fail()
    {
        _state.Status |= NeedsReset;
        if ((_state.Status & DriverOk) != 0)
            Interrupt(ConfigurationChange);
    }

    private void UpdateLine() => _line.Set(_state.InterruptStatus != 0);

    private struct State
    {
        public uint Status;
        public uint DeviceFeaturesSel, DriverFeaturesSel;
        public ulong DriverFeatures;
        public uint QueueSel;
        public uint InterruptStatus;
        public uint Generation;

        /// <summary>The space has changed since the reset, and the driver has not said yet that it is ready.</summary>
        public bool ChangedBeforeOk;
    }
}
