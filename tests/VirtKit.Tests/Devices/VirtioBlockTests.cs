using System.Buffers.Binary;
using VirtKit.Devices.Storage;
using VirtKit.Devices.Virtio;
using VirtKit.Tests.Devices.Support;

namespace VirtKit.Tests.Devices;

public sealed class VirtioBlockTests
{
    private const uint In = 0, Out = 1, Flush = 4, GetId = 8, Discard = 11, WriteZeroes = 13;
    private const byte Ok = 0, IoError = 1, Unsupported = 2;

    [Fact]
    public void WriteThenRead_ScatteredBuffers_KeepsTheBytes()
    {
        byte[] disk = new byte[16 * 512];
        using VirtioDriver driver = Start(new MemoryBlockBackend(disk));
        byte[] bytes = [.. Enumerable.Range(0, 1024).Select(i => (byte)(i * 7))];
        Assert.Equal(Ok, Request(driver, Out, 3, (driver.Allocate(bytes.AsSpan(0, 100)), 100, false), (driver.Allocate(bytes.AsSpan(100)), 924, false)));
        Assert.Equal(bytes, disk.AsSpan(3 * 512, 1024).ToArray());
        ulong first = driver.Allocate(1000), second = driver.Allocate(24);
        Assert.Equal(Ok, Request(driver, In, 3, (first, 1000, true), (second, 24, true)));
        Assert.Equal(bytes, driver.Bytes(first, 1000).Concat(driver.Bytes(second, 24)).ToArray());
    }

    [Theory]
    [InlineData(16ul, 512)]
    [InlineData(15ul, 1024)]
    [InlineData(ulong.MaxValue, 512)]
    [InlineData(1ul << 55, 512)]
    [InlineData(0ul, 511)]
    public void Read_OutsideTheDiskOrPartOfASector_Fails(ulong sector, int length)
    {
        using VirtioDriver driver = Start(new MemoryBlockBackend(16 * 512));
        Assert.Equal(IoError, Request(driver, In, sector, (driver.Allocate(1024), length, true)));
    }

    [Fact]
    public void OtherRequests_OnAWritableDisk_Work()
    {
        byte[] disk = new byte[16 * 512];
        disk.AsSpan().Fill(0xee);
        using VirtioDriver driver = Start(new MemoryBlockBackend(disk));
        Assert.Equal(Ok, Request(driver, Flush, 0));
        ulong id = driver.Allocate(20);
        Assert.Equal(Ok, Request(driver, GetId, 0, (id, 20, true)));
        Assert.Equal("serial-1"u8, driver.Bytes(id, 8));
        Assert.Equal(Ok, Request(driver, WriteZeroes, 0, (driver.Allocate(Range(2, 3, 0)), 16, false)));
        Assert.Equal(2 * 512, disk.AsSpan().IndexOf((byte)0));
        Assert.Equal(3 * 512, disk.Count(b => b == 0));
        Assert.Equal(Ok, Request(driver, Discard, 0, (driver.Allocate([.. Range(0, 1, 0), .. Range(4, 12, 0)]), 32, false)));
        Assert.Equal(IoError, Request(driver, Discard, 0, (driver.Allocate(Range(4, 13, 0)), 16, false)));
        Assert.Equal(IoError, Request(driver, WriteZeroes, 0, (driver.Allocate(Range(0, uint.MaxValue, 0)), 16, false)));
        Assert.Equal(Unsupported, Request(driver, WriteZeroes, 0, (driver.Allocate(Range(0, 1, 2)), 16, false)));
        Assert.Equal(Unsupported, Request(driver, 0x1234, 0));
    }

    [Fact]
    public void ReadOnlyDisk_Writes_AreRefused()
    {
        byte[] disk = new byte[512];
        using VirtioDriver driver = Start(new MemoryBlockBackend(disk, BlockAccess.ReadOnly));
        driver.Set(0x14, 0);
        Assert.Equal(1u << 5, driver.Get(0x10) & (1u << 5 | 1u << 13 | 1u << 14));
        Assert.Equal(IoError, Request(driver, Out, 0, (driver.Allocate(new byte[512]), 512, false)));
        Assert.Equal(Unsupported, Request(driver, WriteZeroes, 0, (driver.Allocate(Range(0, 1, 0)), 16, false)));
    }

    [Fact]
    public void Backend_Fails_GuestSeesAnError()
    {
        using VirtioDriver driver = Start(new OverlayBlockBackend(new MemoryBlockBackend(1 << 20), limit: 64 << 10));
        Assert.Equal(Ok, Request(driver, Out, 0, (driver.Allocate(new byte[512]), 512, false)));
        Assert.Equal(IoError, Request(driver, Out, 1024, (driver.Allocate(new byte[512]), 512, false)));
    }

    [Fact]
    public void Configuration_Capacity_IsInSectors()
    {
        using VirtioDriver driver = Start(new MemoryBlockBackend(16 * 512));
        Assert.Equal((16u, 0u, 512u), (driver.Get(0x100), driver.Get(0x104), driver.Get(0x114)));
    }

    private static VirtioDriver Start(IBlockBackend backend) => new VirtioDriver(new VirtioBlock(backend, "serial-1")).Start();

    private static byte[] Range(ulong sector, uint count, uint flags)
    {
        byte[] range = new byte[16];
        BinaryPrimitives.WriteUInt64LittleEndian(range, sector);
        BinaryPrimitives.WriteUInt32LittleEndian(range.AsSpan(8), count);
        BinaryPrimitives.WriteUInt32LittleEndian(range.AsSpan(12), flags);
        return range;
    }

    private static byte Request(VirtioDriver driver, uint type, ulong sector, params (ulong Address, int Length, bool Writable)[] buffers)
    {
        byte[] header = new byte[16];
        BinaryPrimitives.WriteUInt32LittleEndian(header, type);
        BinaryPrimitives.WriteUInt64LittleEndian(header.AsSpan(8), sector);
        ulong status = driver.Allocate([0xff]);
        driver.Offer(0, 0, [(driver.Allocate(header), 16, false), .. buffers, (status, 1, true)]);
        driver.Notify(0);
        Assert.False(driver.NeedsReset);
        driver.TakeUsed(0);
        return driver.Bytes(status, 1)[0];
    }
}
