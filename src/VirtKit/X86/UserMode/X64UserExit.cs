using System.Globalization;

namespace VirtKit.X86;

/// <summary>Why a program in user mode came back.</summary>
/// <param name="Reason">The reason.</param>
/// <param name="Vector">For a fault or a privileged instruction the exception's vector (SDM 3A §6.3.1); otherwise 0.</param>
/// <param name="ErrorCode">The exception's error code; 0 where it has none.</param>
/// <param name="Address">For a page fault the linear address that was accessed; otherwise 0.</param>
/// <param name="Detail">A text for people, or <see langword="null"/>.</param>
public readonly record struct X64UserExit(X64UserExitReason Reason, byte Vector = 0, uint ErrorCode = 0, Gva Address = default, string? Detail = null)
{
    /// <summary>The exit in one line.</summary>
    public override string ToString() => Reason is X64UserExitReason.Fault or X64UserExitReason.PrivilegedInstruction
        ? string.Create(CultureInfo.InvariantCulture, $"{Reason}: vector {Vector}, error code 0x{ErrorCode:x}, address {Address}")
        : $"{Reason}{(Detail is null ? "" : $": {Detail}")}";
}

/// <summary>Why a program in user mode came back.</summary>
public enum X64UserExitReason
{
    /// <summary>It executed SYSCALL. RIP is behind it; RCX and R11 are as the instruction leaves them; the host answers in registers.</summary>
    SystemCall,

    /// <summary>An exception. RIP is where the processor reports it: at the instruction for a fault, behind it for a trap.</summary>
    Fault,

    /// <summary>An instruction that user mode may not execute; RIP is in front of it.</summary>
    PrivilegedInstruction,

    /// <summary>The time budget is used up.</summary>
    TimeExpired,

    /// <summary>Cancelled.</summary>
    Cancelled,

    /// <summary>The engine met something that it cannot carry out; the state is whole.</summary>
    Unsupported,

    /// <summary>The supervisor's side broke, which a program must not be able to cause.</summary>
    InternalError,
}
