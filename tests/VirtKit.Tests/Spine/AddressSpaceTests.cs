using VirtKit.Tests.Support;

namespace VirtKit.Tests.Spine;

public sealed class AddressSpaceTests
{
    private static readonly Gpa Ram = new(0x1000);

    [Fact]
    public void TryGetSpan_AcrossTheEnd_IsRefused()
    {
        var space = new AddressSpace();
        space.MapRam(Ram, 0x2000);
        Assert.True(space.TryGetSpan(new Gpa(0x1ff8), 0x1008, out Span<byte> span));
        Assert.Equal(0x1008, span.Length);
        Assert.False(space.TryGetSpan(new Gpa(0x1ff8), 0x1009, out _));
        Assert.False(space.TryGetSpan(new Gpa(ulong.MaxValue), 2, out _));
        Assert.False(space.TryGetSpan(Ram, -1, out _));
    }

    [Fact]
    public void TryGetSpan_OfRam_IsTheGuestsOwnBytes()
    {
        var space = new AddressSpace();
        space.MapRam(Ram, 0x1000);
        Assert.True(space.TryGetSpan(Ram, 8, out Span<byte> span));
        span[3] = 7;
        Assert.True(space.TryRead(Ram, out ulong value));
        Assert.Equal(0x07000000UL, value);
    }

    [Fact]
    public void TryGetSpan_OfRomOrDevice_IsRefused()
    {
        var space = new AddressSpace();
        space.MapRom(Ram, 0x1000);
        space.Map(new Gpa(0x4000), new FakeDevice());
        Assert.False(space.TryGetSpan(Ram, 4, out _));
        Assert.False(space.TryGetSpan(new Gpa(0x4000), 4, out _));
    }

    [Fact]
    public void Read_AcrossNeighbouringRegions_IsOneCopy()
    {
        var space = new AddressSpace();
        space.MapRam(Ram, 0x1000);
        space.MapRom(new Gpa(0x2000), 0x1000);
        space.Write(new Gpa(0x1ffe), [1, 2, 3, 4]);
        byte[] bytes = new byte[4];
        space.Read(new Gpa(0x1ffe), bytes);
        Assert.Equal<byte>([1, 2, 3, 4], bytes);
    }

    [Fact]
    public void TryWrite_PartlyOutside_WritesNothing()
    {
        var space = new AddressSpace();
        space.MapRam(Ram, 0x1000);
        space.MapRom(new Gpa(0x2000), 0x1000);
        Assert.False(space.TryWrite(new Gpa(0x1ffe), new byte[] { 1, 2, 3, 4 }));
        Assert.Throws<ArgumentOutOfRangeException>(() => space.Write(new Gpa(0x2ffe), [1, 2, 3, 4]));
        Assert.True(space.TryRead(new Gpa(0x1ff8), out ulong ram) && space.TryRead(new Gpa(0x2ff8), out ulong rom) && ram == 0 && rom == 0);
    }

    [Fact]
    public void TryStore_ToRom_IsIgnored()
    {
        var space = new AddressSpace();
        space.MapRom(Ram, 0x1000);
        Assert.True(space.TryStore(Ram, 4, 1));
        Assert.False(space.TryStore(Ram + 0xffe, 4, 1));
        Assert.True(space.TryLoad(Ram, 4, out ulong value));
        Assert.Equal(0UL, value);
    }

    [Theory]
    [InlineData(1, 0xffUL)]
    [InlineData(2, 0xffffUL)]
    [InlineData(4, 0xffffffffUL)]
    [InlineData(8, ulong.MaxValue)]
    public void TryLoad_WhereNothingAnswers_IsAllOnes(int size, ulong ones)
    {
        var space = new AddressSpace();
        Assert.False(space.TryLoad(Ram, size, out ulong value));
        Assert.Equal(ones, value);
        Assert.False(space.TryStore(Ram, size, 0));
    }

    [Theory]
    [InlineData(0x0UL, 1, false)]
    [InlineData(0x0UL, 2, true)]
    [InlineData(0x1UL, 2, false)]
    [InlineData(0x2UL, 4, false)]
    [InlineData(0x4UL, 4, true)]
    [InlineData(0x0UL, 8, false)]
    [InlineData(0x8UL, 2, true)]
    [InlineData(0x8UL, 4, false)]
    public void Access_OfUndeclaredWidthOrAlignment_NeverReachesTheDevice(ulong offset, int size, bool answered)
    {
        var space = new AddressSpace();
        int calls = 0;
        space.Map(Ram, new FakeDevice
        {
            Window = new DeviceWindow("narrow", 10, AccessWidths.HalfWord | AccessWidths.Word),
            OnRead = (_, _) => (ulong)++calls,
            OnWrite = (_, _, _) => calls++,
        });
        Assert.Equal(answered, space.TryLoad(Ram + offset, size, out _));
        Assert.Equal(answered, space.TryStore(Ram + offset, size, 0));
        Assert.Equal(answered ? 2 : 0, calls);
    }

    /// <summary>Registers of two bytes from 0x100 on, of one byte behind them, and a single byte at 0x20; what arrives is written down.</summary>
    private static AddressSpace Bus(UndeclaredAccess undeclared, List<string> log)
    {
        var space = new AddressSpace();
        foreach ((string name, ulong start, AccessWidths widths) in new[] { ("a", 0x100ul, AccessWidths.HalfWord | AccessWidths.Word), ("b", 0x108ul, AccessWidths.Byte), ("c", 0x20ul, AccessWidths.Byte) })
        {
            space.Map(new Gpa(start), new FakeDevice
            {
                Window = new DeviceWindow(name, name == "c" ? 1u : 8, widths, undeclared),
                OnRead = (offset, size) => 0x8877_6655_4433_2211ul >> (int)offset * 8,
                OnWrite = (offset, size, value) => log.Add($"{name}{offset}/{size}={value:x}"),
            });
        }

        return space;
    }

    [Theory]
    [InlineData(UndeclaredAccess.Split, 0x100ul, 8, "a0/4=55667788 a4/4=11223344", 0x8877_6655_4433_2211ul)]
    [InlineData(UndeclaredAccess.Split, 0x102ul, 4, "a2/2=7788 a4/2=5566", 0x6655_4433ul)]
    [InlineData(UndeclaredAccess.Split, 0x108ul, 2, "b0/1=88 b1/1=77", 0x2211ul)]
    [InlineData(UndeclaredAccess.Split, 0x109ul, 4, "b1/1=88 b2/1=77 b3/1=66 b4/1=55", 0x5544_3322ul)]
    [InlineData(UndeclaredAccess.Split, 0x106ul, 4, "a6/2=7788 b0/1=66 b1/1=55", 0x2211_8877ul)]
    [InlineData(UndeclaredAccess.Split, 0x10eul, 4, "b6/1=88 b7/1=77", 0xffff_8877ul)]
    [InlineData(UndeclaredAccess.Split, 0x0feul, 4, "a0/2=5566", 0x2211_fffful)]
    [InlineData(UndeclaredAccess.Split, 0x0faul, 8, "a0/2=1122", 0x2211_ffff_ffff_fffful)]
    [InlineData(UndeclaredAccess.Split, 0x1ful, 4, "c0/1=77", 0xffff_11fful)]
    [InlineData(UndeclaredAccess.Split, 0x100ul, 1, "", null)]
    [InlineData(UndeclaredAccess.Split, 0x101ul, 4, "", null)]
    [InlineData(UndeclaredAccess.Split, 0x110ul, 4, "", null)]
    [InlineData(UndeclaredAccess.Pad, 0x100ul, 8, "a0/4=55667788", 0x4433_2211ul)]
    [InlineData(UndeclaredAccess.Pad, 0x102ul, 1, "a2/2=88", 0x33ul)]
    [InlineData(UndeclaredAccess.Pad, 0x101ul, 1, "", null)]
    [InlineData(UndeclaredAccess.Pad, 0x108ul, 8, "b0/1=88", 0x11ul)]
    [InlineData(UndeclaredAccess.Pad, 0x10aul, 2, "b2/1=88", 0x33ul)]
    [InlineData(UndeclaredAccess.Pad, 0x109ul, 2, "", null)]
    [InlineData(UndeclaredAccess.Pad, 0x0feul, 4, "", null)]
    [InlineData(UndeclaredAccess.Fault, 0x108ul, 2, "", null)]
    [InlineData(UndeclaredAccess.Fault, 0x0feul, 4, "", null)]
    public void Access_ThatADeviceDoesNotDeclare_IsFittedAsItsWindowSays(UndeclaredAccess undeclared, ulong address, int size, string stores, ulong? loaded)
    {
        List<string> log = [];
        AddressSpace space = Bus(undeclared, log);
        Assert.Equal(stores.Length > 0, space.TryStore(new Gpa(address), size, 0x1122_3344_5566_7788));
        Assert.Equal(stores, string.Join(' ', log));
        Assert.Equal(loaded is not null, space.TryLoad(new Gpa(address), size, out ulong value));
        Assert.Equal(loaded ?? (size == 8 ? ulong.MaxValue : (1ul << size * 8) - 1), value);
    }

    [Fact]
    public void Access_OfDevice_IsCutToItsWidth()
    {
        var space = new AddressSpace();
        ulong written = 0;
        space.Map(Ram, new FakeDevice { OnRead = (_, _) => ulong.MaxValue, OnWrite = (_, _, value) => written = value });
        Assert.True(space.TryLoad(Ram, 2, out ulong value));
        Assert.Equal(0xffffUL, value);
        Assert.True(space.TryStore(Ram, 1, 0x1234));
        Assert.Equal(0x34UL, written);
    }

    [Fact]
    public void Access_OfDeviceThatThrows_IsReportedAndRefused()
    {
        var space = new AddressSpace();
        var errors = new List<string>();
        space.DeviceFailed += (device, error) => errors.Add(device.Window.Name + ": " + error.Message);
        space.Map(Ram, new FakeDevice { OnRead = (_, _) => throw new InvalidOperationException("read"), OnWrite = (_, _, _) => throw new InvalidOperationException("write") });
        Assert.False(space.TryLoad(Ram, 4, out ulong value));
        Assert.Equal(0xffffffffUL, value);
        Assert.False(space.TryStore(Ram, 4, 0));
        Assert.Equal(["fake: read", "fake: write"], errors);
    }

    [Fact]
    public void Access_OfDeviceFromManyThreads_IsSerialised()
    {
        var space = new AddressSpace();
        int inside = 0, worst = 0;
        ulong count = 0;
        space.Map(Ram, new FakeDevice
        {
            OnWrite = (_, _, _) =>
            {
                worst = Math.Max(worst, Interlocked.Increment(ref inside));
                count++;
                Interlocked.Decrement(ref inside);
            },
        });
        Parallel.For(0, 4, _ =>
        {
            for (int i = 0; i < 10_000; i++)
                space.TryStore(Ram, 4, 0);
        });
        Assert.Equal(1, worst);
        Assert.Equal(40_000UL, count);
    }

    [Theory]
    [InlineData(0x1000UL, 0UL)]
    [InlineData(0x1000UL, 0x800UL)]
    [InlineData(0x1800UL, 0x1000UL)]
    [InlineData(0xffff_ffff_ffff_f000UL, 0x2000UL)]
    [InlineData(0x1000UL, 0x8000_0000_0000_0000UL)]
    [InlineData(0x5000UL, 0x2000UL)]
    public void MapRam_OfImpossibleRange_Throws(ulong start, ulong size)
    {
        var space = new AddressSpace();
        space.MapRam(new Gpa(0x6000), 0x1000);
        Assert.ThrowsAny<ArgumentException>(() => space.MapRam(new Gpa(start), size));
        Assert.Single(space.Regions);
    }

    [Fact]
    public void MapRam_AtTheVeryTop_IsReachable()
    {
        var space = new AddressSpace();
        space.MapRam(new Gpa(0xffff_ffff_ffff_f000), 0x1000);
        Assert.True(space.TryStore(new Gpa(0xffff_ffff_ffff_fff8), 8, 5));
        Assert.True(space.TryLoad(new Gpa(0xffff_ffff_ffff_fff8), 8, out ulong value));
        Assert.Equal(5UL, value);
        Assert.False(space.TryLoad(new Gpa(0xffff_ffff_ffff_fffc), 8, out _));
    }

    [Fact]
    public void Map_OfDeviceWithoutWidthsOrOverlapping_Throws()
    {
        var space = new AddressSpace();
        space.MapRam(Ram, 0x1000);
        Assert.Throws<ArgumentException>(() => space.Map(new Gpa(0x8000), new FakeDevice { Window = new DeviceWindow("none", 8, 0) }));
        Assert.Throws<ArgumentException>(() => space.Map(new Gpa(0x1ff8), new FakeDevice()));
        Assert.Throws<ArgumentException>(() => space.Map(new Gpa(0x8004), new FakeDevice()));
        Assert.Throws<ArgumentException>(() => space.Map(new Gpa(0x8000), new FakeDevice { Window = new DeviceWindow("empty", 0) }));
    }

    [Fact]
    public void Unmap_OfARegion_IsToldAndRefusesAccess()
    {
        var space = new AddressSpace();
        int changes = 0;
        space.Changed += () => changes++;
        MemoryRegion region = space.MapRam(Ram, 0x1000);
        Assert.Same(region, space.Find(new Gpa(0x1fff)));
        space.Unmap(region);
        Assert.Equal(2, changes);
        Assert.Null(space.Find(Ram));
        Assert.False(space.TryLoad(Ram, 1, out _));
        Assert.Throws<ArgumentException>(() => space.Unmap(region));
    }

    [Fact]
    public void Regions_WhileTheMapChanges_IsASnapshotInOrder()
    {
        var space = new AddressSpace();
        space.MapRam(new Gpa(0x3000), 0x1000);
        space.Map(Ram, new FakeDevice());
        IReadOnlyList<MemoryRegion> before = space.Regions;
        space.MapRam(new Gpa(0x2000), 0x1000);
        Assert.Equal([0x1000UL, 0x3000UL], before.Select(r => r.Start.Value));
        Assert.Equal([0x1000UL, 0x2000UL, 0x3000UL], space.Regions.Select(r => r.Start.Value));
    }

    [Fact]
    public void Release_OfAMachinesMemory_MakesEveryMemberRefuse()
    {
        var space = new AddressSpace();
        MemoryRegion ram = space.MapRam(Ram, 0x1000);
        space.Release();
        space.Release();
        Assert.True(space.IsDisposed);
        byte[] bytes = new byte[4];
        Action[] members =
        [
            () => _ = space.Regions, () => space.Find(Ram), () => space.MapRam(new Gpa(0x8000), 0x1000), () => space.MapRom(new Gpa(0x8000), 0x1000),
            () => space.Map(new Gpa(0x8000), new FakeDevice()), () => space.Unmap(ram), () => space.TryGetSpan(Ram, 4, out _), () => space.TryRead(Ram, bytes),
            () => space.TryWrite(Ram, bytes), () => space.TryRead(Ram, out int _), () => space.TryWrite(Ram, 1), () => space.Read(Ram, bytes), () => space.Write(Ram, bytes),
            () => space.TryLoad(Ram, 4, out _), () => space.TryStore(Ram, 4, 1),
        ];
        Assert.All(members, member => Assert.Throws<ObjectDisposedException>(member));
        space.ReportFailure(new FakeDevice(), new InvalidOperationException("late"));
    }

    [Fact]
    public void TryGetSpan_UsedAfterTheRelease_ReachesNobodysMemory()
    {
        var space = new AddressSpace();
        MemoryRegion ram = space.MapRam(Ram, 1 << 20);
        Assert.True(space.TryGetSpan(Ram, 1 << 20, out Span<byte> span));
        span.Fill(7);
        space.Release();
        Assert.Equal(-1, ram.FileDescriptor);
        var others = new AddressSpace();
        for (int i = 0; i < 64; i++)
            others.MapRam(new Gpa((ulong)i << 20), 1 << 20);
        span.Fill(0xee);
        byte[] other = new byte[1 << 20];
        for (int i = 0; i < 64; i++)
        {
            others.Read(new Gpa((ulong)i << 20), other);
            Assert.Equal(-1, other.AsSpan().IndexOfAnyExcept((byte)0));
        }

        GC.KeepAlive(space);
    }

    [Fact]
    public void Map_OfADeviceThatHasAPlace_Throws()
    {
        AddressSpace space = new(), another = new();
        var device = new FakeDevice();
        MemoryRegion first = space.Map(Ram, device);
        Assert.Equal("device", Assert.Throws<ArgumentException>(() => space.Map(new Gpa(0x8000), device)).ParamName);
        Assert.Equal("device", Assert.Throws<ArgumentException>(() => another.Map(new Gpa(0x8000), device)).ParamName);
        space.Unmap(first);
        another.Map(new Gpa(0x8000), device);
        another.Release();
        space.Map(Ram, device);
    }

    [Fact]
    public void Map_OfADeviceInASpaceThatIsGone_Succeeds()
    {
        var device = new FakeDevice();
        MapSomewhere(device);
        GC.Collect();
        new AddressSpace().Map(Ram, device);

        [System.Runtime.CompilerServices.MethodImpl(System.Runtime.CompilerServices.MethodImplOptions.NoInlining)]
        static void MapSomewhere(FakeDevice device) => new AddressSpace().Map(Ram, device);
    }

    [Fact]
    public void Map_WhereAListenerCannotFollow_ChangesNothing()
    {
        var space = new AddressSpace();
        var seen = new List<int>();
        space.Changed += () => seen.Add(space.Regions.Count);
        space.Changed += () =>
        {
            if (space.Regions.Count > 0)
                throw new VirtKitException("no slot");
        };
        var device = new FakeDevice();
        Assert.Throws<VirtKitException>(() => space.MapRam(Ram, 0x1000));
        Assert.Throws<VirtKitException>(() => space.Map(Ram, device));
        Assert.Empty(space.Regions);
        Assert.Equal([1, 0, 1, 0], seen);
        new AddressSpace().Map(Ram, device);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(3)]
    [InlineData(16)]
    [InlineData(-1)]
    public void Access_OfAnImpossibleWidth_Throws(int size)
    {
        var space = new AddressSpace();
        Assert.Equal("size", Assert.Throws<ArgumentOutOfRangeException>(() => space.TryLoad(Ram, size, out _)).ParamName);
        Assert.Equal("size", Assert.Throws<ArgumentOutOfRangeException>(() => space.TryStore(Ram, size, 0)).ParamName);
    }

    [Fact]
    public void Map_OfImpossibleArguments_NamesTheParameter()
    {
        var space = new AddressSpace();
        Assert.Equal("start", Assert.Throws<ArgumentException>(() => space.MapRam(new Gpa(0x1800), 0x1000)).ParamName);
        Assert.Equal("size", Assert.Throws<ArgumentOutOfRangeException>(() => space.MapRam(Ram, 0x1800)).ParamName);
        Assert.Equal("size", Assert.Throws<ArgumentOutOfRangeException>(() => space.MapRam(Ram, 1UL << 63)).ParamName);
        Assert.Equal("size", Assert.Throws<ArgumentException>(() => space.MapRam(Ram, 0)).ParamName);
        Assert.Equal("size", Assert.Throws<ArgumentException>(() => space.MapRom(new Gpa(ulong.MaxValue - 0xfff), 0x2000)).ParamName);
        Assert.Equal("name", Assert.Throws<ArgumentNullException>(() => space.MapRam(Ram, 0x1000, null!)).ParamName);
        Assert.Equal("device", Assert.Throws<ArgumentNullException>(() => space.Map(Ram, null!)).ParamName);
        Assert.Equal("region", Assert.Throws<ArgumentNullException>(() => space.Unmap(null!)).ParamName);
        space.MapRam(Ram, 0x1000);
        Assert.Equal("start", Assert.Throws<ArgumentException>(() => space.MapRam(Ram, 0x1000)).ParamName);
    }
}
