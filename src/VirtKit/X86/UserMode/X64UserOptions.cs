using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using VirtKit.Engines;

namespace VirtKit.X86;

/// <summary>What an <see cref="X64UserProgram"/> runs on.</summary>
public sealed record X64UserOptions
{
    /// <summary>The engine; it has to run x86-64 guests. <see langword="null"/>, the default, for what <see cref="EngineSelection.Choose(GuestArchitecture)"/> finds.</summary>
    public ExecutionEngine? Engine { get; init; }

    /// <summary>The program's memory in bytes, page tables included, by default 64 MiB: 64 KiB to 64 GiB, a multiple of 4096. The host commits pages as they are touched.</summary>
    public ulong MemorySize { get; init; } = 64 << 20;

    /// <summary>What CPUID answers; by default what the host and the engine have.</summary>
    public CpuidPolicy Cpuid { get; init; } = CpuidPolicy.Host;

    /// <summary>Where the machine logs; by default nowhere.</summary>
    public ILogger Logger { get; init; } = NullLogger.Instance;
}

/// <summary>What a program may do with a page beside reading it.</summary>
[Flags]
public enum X64UserAccess
{
    /// <summary>Only read.</summary>
    Read = 0,

    /// <summary>Write.</summary>
    Write = 1,

    /// <summary>Execute.</summary>
    Execute = 2,
}
