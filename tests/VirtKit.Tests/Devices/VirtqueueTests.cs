using VirtKit.Devices.Virtio;
using VirtKit.Tests.Devices.Support;

namespace VirtKit.Tests.Devices;

public sealed class VirtqueueTests
{
    private static VirtioDriver Entropy(ulong features = VirtioDriver.Version1Feature | VirtioDriver.IndirectFeature) =>
        new VirtioDriver(new VirtioEntropy(bytes => bytes.Fill(0x5a))).Start(features);

    [Fact]
    public void Chain_OfSeveralBuffers_IsFilledInOrder()
    {
        using VirtioDriver driver = Entropy();
        ulong first = driver.Allocate(16), second = driver.Allocate(100);
        driver.Offer(0, 3, (first, 5, true), (second, 100, true));
        driver.Notify(0);
        Assert.True(driver.TryTakeUsed(0, out uint head, out uint length));
        Assert.Equal((3u, 105u), (head, length));
        Assert.Equal([0x5a, 0x5a, 0x5a, 0x5a, 0x5a, 0], driver.Bytes(first, 6));
        Assert.True(driver.Lines.IsAsserted(0));
        Assert.Equal(1u, driver.Get(0x60));
        driver.Set(0x64, 1);
        Assert.False(driver.Lines.IsAsserted(0));
    }

    [Fact]
    public void Chain_Indirect_IsFollowed()
    {
        using VirtioDriver driver = Entropy();
        ulong table = driver.Allocate(64), buffer = driver.Allocate(64);
        driver.PutDescriptor(table, 0, buffer, 10, VirtioDriver.Write | VirtioDriver.Next, 3);
        driver.PutDescriptor(table, 3, buffer + 20, 10, VirtioDriver.Write, 0);
        driver.PutDescriptor(VirtioDriver.Descriptors(0), 1, table, 64, VirtioDriver.Indirect, 0);
        driver.Offer(0, 1);
        driver.Notify(0);
        Assert.Equal(20u, driver.TakeUsed(0));
    }

    [Fact]
    public void Ring_ManyTimesAround_Goes()
    {
        using VirtioDriver driver = Entropy(VirtioDriver.Version1Feature | VirtioDriver.EventIndexFeature);
        ulong buffer = driver.Allocate(16);
        for (int i = 0; i < 70_000; i++)
        {
            driver.Offer(0, (ushort)(i % driver.QueueSize), (buffer, 8, true));
            driver.Notify(0);
            Assert.True(driver.TryTakeUsed(0, out uint head, out _));
            Assert.Equal((uint)(i % driver.QueueSize), head);
        }
    }

    [Fact]
    public void Interrupt_NotWanted_StaysDown()
    {
        using VirtioDriver driver = Entropy(VirtioDriver.Version1Feature);
        Assert.True(driver.Memory.TryWrite(new Gpa(VirtioDriver.Available(0)), (ushort)1));
        driver.Offer(0, 0, (driver.Allocate(8), 8, true));
        driver.Notify(0);
        Assert.Equal(8u, driver.TakeUsed(0));
        Assert.False(driver.Lines.IsAsserted(0));
    }

    [Fact]
    public void EventIndex_UsedEventAhead_InterruptsOnlyThere()
    {
        using VirtioDriver driver = Entropy(VirtioDriver.Version1Feature | VirtioDriver.EventIndexFeature);
        ulong buffer = driver.Allocate(8), usedEvent = VirtioDriver.Available(0) + 4 + 2 * (ulong)driver.QueueSize;
        Assert.True(driver.Memory.TryWrite(new Gpa(usedEvent), (ushort)2));
        for (ushort i = 0; i < 4; i++)
        {
            driver.Offer(0, i, (buffer, 8, true));
            driver.Notify(0);
            Assert.Equal(i >= 2, driver.Lines.IsAsserted(0));
        }

        Assert.True(driver.Memory.TryRead(new Gpa(VirtioDriver.Used(0) + 4 + 8 * (ulong)driver.QueueSize), out ushort availableEvent));
        Assert.Equal(4, availableEvent);
    }

    public static TheoryData<string> Attacks =>
    [
        "loop", "self", "head", "next", "wild", "wrap", "huge", "device", "read-after-write", "indirect-not-negotiated", "indirect-twice", "indirect-next",
        "indirect-length", "indirect-empty", "indirect-wild", "indirect-loop", "index", "total",
    ];

    [Theory]
    [MemberData(nameof(Attacks))]
    public void Chain_BrokenByTheGuest_NeedsResetAndRecovers(string attack)
    {
        bool indirect = attack.StartsWith("indirect", StringComparison.Ordinal) && attack != "indirect-not-negotiated";
        ulong features = VirtioDriver.Version1Feature | (indirect ? VirtioDriver.IndirectFeature : 0);
        using VirtioDriver driver = Entropy(features);
        ulong table = VirtioDriver.Descriptors(0), buffer = driver.Allocate(4096);
        const ushort Next = VirtioDriver.Next, Write = VirtioDriver.Write, Indirect = VirtioDriver.Indirect;
        (ulong Address, uint Length, ushort Flags, ushort Following) first = attack switch
        {
            "self" => (buffer, 4, Write | Next, 0),
            "next" => (buffer, 4, Write | Next, 16),
            "wild" => (0x10, 4, Write, 0),
            "wrap" => (ulong.MaxValue - 1, 4, Write, 0),
            "huge" => (buffer, uint.MaxValue, Write, 0),
            "device" => (VirtioDriver.Device, 4, Write, 0),
            "indirect-wild" => (0x10, 64, Indirect, 0),
            "indirect-length" => (buffer, 63, Indirect, 0),
            "indirect-empty" => (buffer, 0, Indirect, 0),
            "indirect-next" => (buffer, 64, Indirect | Next, 1),
            "indirect-not-negotiated" or "indirect-twice" or "indirect-loop" => (buffer, 64, Indirect, 0),
            _ => (buffer, 4, Write | Next, 1),
        };
        driver.PutDescriptor(table, 0, first.Address, first.Length, first.Flags, first.Following);
        driver.PutDescriptor(table, 1, buffer, 4, attack == "read-after-write" ? (ushort)0 : (ushort)(Write | Next), 0);
        driver.PutDescriptor(buffer, 0, buffer, attack == "indirect-loop" ? 4 : 64u, attack == "indirect-loop" ? (ushort)(Write | Next) : Indirect, 0);
        if (attack == "total")
        {
            for (int i = 0; i < 16; i++)
                driver.PutDescriptor(table, i, VirtioDriver.Ram, (uint)VirtioDriver.RamSize, Write | Next, (ushort)((i + 1) % 16));
        }

        driver.Offer(0, (ushort)(attack == "head" ? 16 : 0));
        if (attack == "index")
            Assert.True(driver.Memory.TryWrite(new Gpa(VirtioDriver.Available(0) + 2), (ushort)17));
        driver.Notify(0);
        Assert.True(driver.NeedsReset);
        Assert.Equal(2u, driver.Get(0x60) & 2);
        Assert.True(driver.Lines.IsAsserted(0));
        Assert.False(driver.TryTakeUsed(0, out _, out _));

        driver.Start(features);
        Assert.False(driver.NeedsReset);
        driver.Offer(0, 0, (buffer, 8, true));
        driver.Notify(0);
        Assert.Equal(8u, driver.TakeUsed(0));
    }

    [Fact]
    public void Turn_MoreBytesThanAllowed_GoesOnByTheClock()
    {
        var console = new CountingConsole();
        using VirtioDriver driver = new VirtioDriver(new VirtioConsole(console)).Start(VirtioDriver.Version1Feature | VirtioDriver.IndirectFeature);
        // 48 MiB a chain: the same megabyte 48 times.
        ulong table = driver.Allocate(48 * 16);
        for (int i = 0; i < 48; i++)
            driver.PutDescriptor(table, i, VirtioDriver.Ram, (uint)VirtioDriver.RamSize, i < 47 ? VirtioDriver.Next : (ushort)0, (ushort)(i + 1));
        driver.PutDescriptor(VirtioDriver.Descriptors(1), 0, table, 48 * 16, VirtioDriver.Indirect, 0);
        for (int i = 0; i < 4; i++)
            driver.Offer(1, 0);
        driver.Notify(1);
        // A chain is not cut: the first one has used up the turn.
        Assert.Equal(48L << 20, console.Written);
        driver.Clock.Advance(1_000_000);
        Assert.Equal(4L * 48 << 20, console.Written);
        Assert.Equal(0, driver.Clock.Pending);
    }

    [Fact]
    public void Turn_MoreDescriptorsThanAllowed_GoesOnByTheClock()
    {
        const int Chains = 16;
        int calls = 0;
        using VirtioDriver driver = new VirtioDriver(new VirtioEntropy(_ => calls++)).Start(VirtioDriver.Version1Feature | VirtioDriver.IndirectFeature);
        // The longest chain there is, of single bytes, as often as the queue takes it.
        OfferLongChain(driver, queue: 0, VirtioDriver.Write);
        for (int i = 1; i < Chains; i++)
            driver.Offer(0, 0);
        driver.Notify(0);
        Assert.InRange(calls, 1, Virtqueue.TurnDescriptors + Virtqueue.MaximumChainLength - 1);
        // Each turn leaves the gate to others before the next, and all are served in the end.
        for (int turn = 0, before = 0; turn < Chains; turn++, before = calls)
        {
            Assert.InRange(calls - before, 0, Virtqueue.TurnDescriptors + Virtqueue.MaximumChainLength - 1);
            driver.Clock.Advance(10_000);
        }

        Assert.Equal(Chains * Virtqueue.MaximumChainLength, calls);
        Assert.Equal(0, driver.Clock.Pending);
    }

    public static TheoryData<string> BackendNames => ["console", "block", "entropy"];

    [Theory]
    [MemberData(nameof(BackendNames))]
    public void Turn_OfAnyDevice_CallsItsBackendAsOftenAsATurnHasDescriptors(string name)
    {
        var backend = new CountingBackend();
        int queue = name == "console" ? 1 : 0;
        VirtioDevice device = name switch
        {
            "console" => new VirtioConsole(backend),
            "block" => new VirtioBlock(backend),
            _ => new VirtioEntropy(_ => backend.Calls++),
        };
        using VirtioDriver driver = new VirtioDriver(device).Start(VirtioDriver.Version1Feature | VirtioDriver.IndirectFeature);
        OfferLongChain(driver, queue, name == "entropy" ? VirtioDriver.Write : (ushort)0, isBlock: name == "block");
        for (int i = 1; i < driver.QueueSize; i++)
            driver.Offer(queue, 0);
        driver.Notify(queue);
        Assert.InRange(backend.Calls, 1000, Virtqueue.TurnDescriptors + Virtqueue.MaximumChainLength - 1);
    }

    [Fact]
    public void Turn_Flushes_AreOneEach()
    {
        var backend = new CountingBackend();
        using VirtioDriver driver = new VirtioDriver(new VirtioBlock(backend)).Start(VirtioDriver.Version1Feature);
        ulong header = driver.Allocate([4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]), status = driver.Allocate(1);
        driver.Offer(0, 0, (header, 16, false), (status, 1, true));
        for (int i = 1; i < driver.QueueSize; i++)
            driver.Offer(0, 0);
        driver.Notify(0);
        Assert.Equal(1, backend.Calls);
        driver.Clock.Advance(1_000_000);
        Assert.Equal(driver.QueueSize, backend.Calls);
    }

    [Fact]
    public void Queue_ThatFeedsItselfByDma_HasTurnsAndEndsWithItsReset()
    {
        ushort index = 1;
        int calls = 0;
        // What the device writes is the queue's own available index, one further each time: there is always one more chain.
        using VirtioDriver driver = new VirtioDriver(new VirtioEntropy(bytes =>
        {
            calls++;
            System.Buffers.Binary.BinaryPrimitives.WriteUInt16LittleEndian(bytes, ++index);
        })).Start(VirtioDriver.Version1Feature);
        driver.Offer(0, 0, (VirtioDriver.Available(0) + 2, 2, true));
        driver.Notify(0);
        Assert.InRange(calls, 2, 64);
        int first = calls;
        driver.Clock.Advance(100_000);
        Assert.InRange(calls, first + 1, first * 11);
        driver.Set(0x70, 0);
        int last = calls;
        driver.Clock.Advance(1_000_000_000);
        Assert.Equal(last, calls);
        Assert.Equal(0, driver.Clock.Pending);
    }

    /// <summary>An indirect table of <see cref="Virtqueue.MaximumChainLength"/> single bytes; for a disk with a header before and a status behind.</summary>
    private static void OfferLongChain(VirtioDriver driver, int queue, ushort flags, bool isBlock = false)
    {
        const int Length = Virtqueue.MaximumChainLength;
        ulong table = driver.Allocate(Length * 16), buffer = driver.Allocate(64), header = driver.Allocate([1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        for (int i = 0; i < Length; i++)
        {
            bool last = i + 1 == Length, first = i == 0;
            // The payload of a disk has to be whole sectors: one descriptor makes up for the rest.
            uint length = !isBlock ? 1 : first ? 16 : last ? 1 : i == 1 ? 1024 - (Length - 3) + 512u : 1u;
            ulong address = isBlock && first ? header : isBlock && i == 1 ? VirtioDriver.Ram : buffer;
            driver.PutDescriptor(table, i, address, length, (ushort)(flags | (isBlock && last ? VirtioDriver.Write : 0) | (last ? 0 : VirtioDriver.Next)), (ushort)(i + 1));
        }

        driver.PutDescriptor(VirtioDriver.Descriptors(queue), 0, table, Length * 16, VirtioDriver.Indirect, 0);
        driver.Offer(queue, 0);
    }
}
