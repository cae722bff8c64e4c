using System.Buffers.Binary;
using VirtKit.Memory;

namespace VirtKit.State;

/// <summary>The images of memory behind the sections of a file that can be mapped (docs/snapshot-format.md).</summary>
public sealed partial class MachineSnapshot
{
    /// <summary>Makes a snapshot of a file that was saved as <see cref="SnapshotLayout.Mappable"/>, without reading its memory: machines show the file's pages, which the host reads where a guest
    /// uses them, until they write to them. On hosts and file systems that do not map files, it is read as <see cref="LoadAsync(string, CancellationToken)"/> does.</summary>
    /// <remarks>
    /// The file is held open, with a shared lock on it (<c>flock</c>), until the snapshot, all machines that were restored from it and all snapshots of those have gone. A file that is deleted or replaced
    /// by a new one of the same name, as <see cref="SaveAsync(string, SnapshotOptions?, IProgress{double}?, CancellationToken)"/> does it, stays what it was for them. The lock keeps out only who asks for one:
    /// somebody who writes into the file changes the memory of running guests, and somebody who cuts it off, or a disk that fails, ends the process at the next use (SIGBUS). Map what nobody else
    /// writes, and read with <see cref="LoadAsync(string, CancellationToken)"/> what comes from elsewhere.
    /// <see cref="Machine.Restore"/> refuses a file whose length or time has changed.
    /// </remarks>
    /// <param name="path">The file.</param>
    /// <param name="verification">Whether memory is compared with its checksums, which reads all of it once. The rest always is.</param>
    /// <param name="cancellationToken">Ends it.</param>
    /// <exception cref="InvalidSnapshotException">It is no snapshot, truncated, damaged, of a newer version, or of another layout. Whether it fits a machine is seen by <see cref="Machine.Restore"/>.</exception>
    /// <exception cref="IOException">The file cannot be read, or somebody writes to it.</exception>
    /// <exception cref="VirtKitException">The host has no memory for it.</exception>
    public static async Task<MachineSnapshot> MapAsync(string path, SnapshotVerification verification = SnapshotVerification.Whole, CancellationToken cancellationToken = default)
    {
        if (!Enum.IsDefined(verification))
            throw new ArgumentOutOfRangeException(nameof(verification), verification, "There is no such verification.");
        FileStream file = Open(path);
        await using (file.ConfigureAwait(false))
        {
            (MachineSnapshot snapshot, InputLog? log, SnapshotImage[]? images, long place) = await ReadSectionsAsync(file, null, cancellationToken).ConfigureAwait(false);
            try
            {
                RequireSnapshot(log);
                if (images is null)
                    throw new InvalidSnapshotException($"The snapshot was not saved as {nameof(SnapshotLayout)}.{nameof(SnapshotLayout.Mappable)}, and cannot be mapped.");
                var mapped = new MappedFile(file.SafeFileHandle);
                for (int i = 0; i < images.Length; i++)
                {
                    long start = SnapshotImage.Begin(place);
                    SnapshotRegion region = snapshot._regions[i];
                    place = checked(start + (long)region.Size);
                    if (place > mapped.Length)
                        throw new InvalidSnapshotException("The snapshot is truncated in its memory.");
                    if (HostMemory.TryMap(mapped, start, (nuint)region.Size) is not { } image)
                    {
                        file.Position = start;
                        await ReadImageAsync(file, region, images[i], cancellationToken).ConfigureAwait(false);
                        continue;
                    }

                    snapshot._regions[i] = SnapshotRegion.Showing(region, image);
                    region.Release();
                    if (verification == SnapshotVerification.Whole)
                        await images[i].VerifyAsync(mapped.Handle, start, image.DataRanges(), cancellationToken).ConfigureAwait(false);
                }

                return snapshot;
            }
            catch
            {
                snapshot.Dispose();
                throw;
            }
        }
    }

    /// <summary>Writes the images, each from the next multiple of its block's size on.</summary>
    /// <param name="stream">The stream.</param>
    /// <param name="place">How far behind the snapshot's beginning that stands.</param>
    /// <param name="isNew">Whether it is a new file, where what is skipped is a hole of zeroes.</param>
    private async Task WriteImagesAsync(Stream stream, SnapshotImage[] images, long place, bool isNew, IProgress<double>? progress, CancellationToken cancellationToken)
    {
        byte[] scratch = new byte[SnapshotImage.BlockSize], zeroes = new byte[SnapshotImage.BlockSize];
        for (int i = 0; i < images.Length; i++)
        {
            long start = SnapshotImage.Begin(place);
            foreach (SnapshotImage.Block block in images[i].Blocks)
            {
                int length = images[i].LengthAt(block.Offset);
                await SkipToAsync(start + block.Offset).ConfigureAwait(false);
                await stream.WriteAsync(_regions[i].Read(block.Offset, length, scratch), cancellationToken).ConfigureAwait(false);
                place += length;
                progress?.Report((i + (double)block.Offset / _regions[i].Size) / _regions.Length);
            }

            await SkipToAsync(start + (long)_regions[i].Size).ConfigureAwait(false);
        }

        if (isNew)
            stream.SetLength(stream.Position);

        async ValueTask SkipToAsync(long wanted)
        {
            if (isNew && wanted != place)
                stream.Seek(wanted - place, SeekOrigin.Current);
            for (; !isNew && place < wanted; place += Math.Min(zeroes.Length, wanted - place))
                await stream.WriteAsync(zeroes.AsMemory(0, (int)Math.Min(zeroes.Length, wanted - place)), cancellationToken).ConfigureAwait(false);
            place = wanted;
        }
    }

    /// <summary>Reads the images, before which the stream stands, into memory.</summary>
    private static async Task ReadImagesAsync(Stream stream, SectionContent content, CancellationToken cancellationToken)
    {
        long place = content.Length;
        for (int i = 0; i < content.Images!.Length; i++)
        {
            SnapshotRegion region = content.Snapshot._regions[i];
            long start = SnapshotImage.Begin(place);
            await SkipAsync(stream, start - place, cancellationToken).ConfigureAwait(false);
            await ReadImageAsync(stream, region, content.Images[i], cancellationToken).ConfigureAwait(false);
            place = checked(start + (long)region.Size);
        }
    }

    private static async Task ReadImageAsync(Stream stream, SnapshotRegion region, SnapshotImage image, CancellationToken cancellationToken)
    {
        byte[] content = new byte[SnapshotImage.BlockSize];
        long place = 0;
        foreach (SnapshotImage.Block block in image.Blocks)
        {
            await SkipAsync(stream, block.Offset - place, cancellationToken).ConfigureAwait(false);
            Memory<byte> bytes = content.AsMemory(0, image.LengthAt(block.Offset));
            if (await stream.ReadAtLeastAsync(bytes, bytes.Length, throwOnEndOfStream: false, cancellationToken).ConfigureAwait(false) < bytes.Length)
                throw new InvalidSnapshotException("The snapshot is truncated in its memory.");
            SnapshotImage.Verify(bytes.Span, block);
            region.Write(block.Offset, bytes.Span);
            place = block.Offset + bytes.Length;
        }

        await SkipAsync(stream, (long)region.Size - place, cancellationToken).ConfigureAwait(false);
    }

    private static async ValueTask SkipAsync(Stream stream, long count, CancellationToken cancellationToken)
    {
        if (stream.CanSeek)
        {
            stream.Seek(count, SeekOrigin.Current);
            return;
        }

        byte[] skipped = new byte[SnapshotImage.BlockSize];
        while (count > 0)
        {
            int read = await stream.ReadAsync(skipped.AsMemory(0, (int)Math.Min(skipped.Length, count)), cancellationToken).ConfigureAwait(false);
            count -= read > 0 ? read : throw new InvalidSnapshotException("The snapshot is truncated in its memory.");
        }
    }

    /// <summary>Takes a list of an image's blocks.</summary>
    /// <exception cref="InvalidSnapshotException">It is of no region, or not right.</exception>
    private static void ReadImageList(ReadOnlySpan<byte> content, SnapshotRegion[] regions, SnapshotImage[] images)
    {
        ulong number = content.Length >= sizeof(ulong) ? BinaryPrimitives.ReadUInt64LittleEndian(content) : ulong.MaxValue;
        if (number >= (ulong)regions.Length)
            throw new InvalidSnapshotException("A list of an image's blocks is of no region.");
        images[number].Read(content[sizeof(ulong)..]);
    }
}
