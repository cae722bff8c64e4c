using System.Numerics;
using VirtKit.Execution;

namespace VirtKit.RiscV.Sbi;

/// <summary>The supervisor execution environment that VirtKit itself is: an ECALL from S-mode is a hypercall, answered here (SBI 2.0).</summary>
internal sealed class SbiFirmware(RiscVSystem system, SbiOptions options)
{
    private const ulong SpecificationVersion = 2 << 24, ImplementationVersion = 1;

    /// <summary>Answers the call that a hart's registers hold: extension in a7, function in a6, arguments in a0-a5, results to a0 and a1.</summary>
    public void Call(Hart hart)
    {
        ulong extension = hart.X(17), function = hart.X(16);
        SbiResult result = extension switch
        {
            SbiExtension.Base => Base(hart, function),
            SbiExtension.Timer when function == 0 => SetTimer(hart),
            SbiExtension.Ipi when function == 0 => SendIpi(hart),
            SbiExtension.RemoteFence => RemoteFences(hart, function),
            SbiExtension.HartState => HartState(hart, function),
            SbiExtension.SystemReset when function == 0 => SystemReset(hart),
            SbiExtension.Host when options.Hypercalls => Hypercall(hart, function),
            SbiExtension.DebugConsole when system.Platform.DebugConsole is { } console => SbiDebugConsole.Call(hart, function, system.Memory, console),
            _ => SbiError.NotSupported,
        };
        // hart_stop does not return, hart_suspend returns elsewhere, and a fence that was cut short is called again: they leave the registers as they are.
        if (result.KeepRegisters)
            return;
        hart.X(10) = (ulong)result.Error;
        hart.X(11) = result.Value;
    }

    private SbiResult Base(Hart hart, ulong function) => function switch
    {
        0 => SbiResult.Of(SpecificationVersion),
        1 => SbiResult.Of(SbiOptions.ImplementationId),
        2 => SbiResult.Of(ImplementationVersion),
        3 => SbiResult.Of(Probe(hart.X(10)) ? 1UL : 0),
        4 or 5 or 6 => SbiResult.Of(0), // mvendorid, marchid, mimpid
        _ => SbiError.NotSupported,
    };

    private bool Probe(ulong extension) => extension switch
    {
        SbiExtension.Base or SbiExtension.Timer or SbiExtension.Ipi or SbiExtension.RemoteFence or SbiExtension.HartState or SbiExtension.SystemReset => true,
        SbiExtension.DebugConsole => system.Platform.DebugConsole is not null,
        SbiExtension.Host => options.Hypercalls,
        _ => false,
    };

    private static SbiResult SetTimer(Hart hart)
    {
        hart.State.Stimecmp = hart.X(10);
        hart.UpdateStimecmp();
        return SbiResult.Of(0);
    }

    private SbiResult SendIpi(Hart hart) => ForEach(hart.X(10), hart.X(11), target => target.SetPin(InterruptBit.SupervisorSoftware, level: true));

    private SbiResult RemoteFences(Hart hart, ulong function)
    {
        // 0: fence.i; 1 and 2: sfence.vma without and with ASID. The rest is for hypervisors (H), which the harts do not have.
        if (function > 2)
            return SbiError.NotSupported;
        RemoteFence fence = function == 0 ? RemoteFence.Code : RemoteFence.Translations;
        bool complete = true;
        SbiResult result = ForEach(hart.X(10), hart.X(11), target => complete = complete && target.FenceRemotely(hart, fence));
        if (complete)
            return result;
        // This hart is asked to stop. When it runs on it executes the ECALL again; fencing twice does no harm.
        hart.NextPc = hart.Pc;
        return SbiResult.Kept;
    }

    private SbiResult HartState(Hart hart, ulong function)
    {
        switch (function)
        {
            case 0:
                return Find(hart.X(10)) is { } target ? target.Start(hart.X(11), hart.X(12)) : SbiError.InvalidParameter;
            case 1:
                hart.Stop();
                return SbiResult.Kept;
            case 2:
                return Find(hart.X(10)) is { } asked ? SbiResult.Of(asked.HartStateStatus) : SbiError.InvalidParameter;
            case 3:
                return hart.Suspend((uint)hart.X(10), hart.X(11), hart.X(12));
            default:
                return SbiError.NotSupported;
        }
    }

    private SbiResult SystemReset(Hart hart)
    {
        uint type = (uint)hart.X(10), reason = (uint)hart.X(11);
        if (reason > 1 && reason < 0xe0000000)
            return SbiError.InvalidParameter;
        switch (type)
        {
            case 0:
                system.Events.RequestStop(new VcpuExit(ExitReason.Shutdown, reason == 0 ? 0UL : 1));
                break;
            case 1 or 2:
                system.Events.RequestStop(new VcpuExit(ExitReason.Reset));
                break;
            default:
                return type < 0xf0000000 ? SbiError.InvalidParameter : SbiError.NotSupported;
        }

        hart.RequestExit();
        return SbiResult.Of(0);
    }

    /// <summary>A call of the host application's own.</summary>
    private SbiResult Hypercall(Hart hart, ulong number)
    {
        ReadOnlySpan<ulong> arguments = [hart.X(10), hart.X(11), hart.X(12), hart.X(13), hart.X(14), hart.X(15)];
        try
        {
            if (system.Events.Hypercalls is { } handler && handler.TryAnswer(hart.Id, new Hypercall(number, arguments), out ulong result))
                return SbiResult.Of(result);
            hart.ExitBehindInstruction(new VcpuExit(ExitReason.Hypercall, number));
        }
        catch (Exception e)
        {
            hart.ExitBehindInstruction(Failure.Exit($"Hypercall handler, number 0x{number:x}", e) with { Code = number });
        }

        return SbiResult.Kept;
    }

    private Hart? Find(ulong id) => id < (ulong)system.Harts.Count ? system.Harts[(int)id] : null;

    /// <summary>Acts on the harts of a mask (SBI §3.1); a base of all ones means every hart.</summary>
    private SbiResult ForEach(ulong mask, ulong baseId, Action<Hart> action)
    {
        if (baseId == ulong.MaxValue)
        {
            foreach (Hart target in system.Harts)
                action(target);
            return SbiResult.Of(0);
        }

        for (ulong rest = mask; rest != 0; rest &= rest - 1)
        {
            ulong offset = (ulong)BitOperations.TrailingZeroCount(rest);
            if (baseId > ulong.MaxValue - offset || Find(baseId + offset) is null)
                return SbiError.InvalidParameter;
        }

        for (ulong rest = mask; rest != 0; rest &= rest - 1)
            action(Find(baseId + (ulong)BitOperations.TrailingZeroCount(rest))!);
        return SbiResult.Of(0);
    }
}

/// <summary>Extension IDs (SBI, one chapter each).</summary>
internal static class SbiExtension
{
    public const ulong Base = 0x10, Timer = 0x54494d45, Ipi = 0x735049, RemoteFence = 0x52464e43, HartState = 0x48534d, SystemReset = 0x53525354, DebugConsole = 0x4442434e, Host = SbiOptions.HypercallExtension;
}

/// <summary>Error codes (SBI §3).</summary>
internal enum SbiError : long
{
    Success = 0,
    Failed = -1,
    NotSupported = -2,
    InvalidParameter = -3,
    Denied = -4,
    InvalidAddress = -5,
    AlreadyAvailable = -6,
    AlreadyStarted = -7,
    AlreadyStopped = -8,
}

/// <summary>What a call returns in a0 and a1.</summary>
internal readonly record struct SbiResult(SbiError Error, ulong Value, bool KeepRegisters = false)
{
    public static SbiResult Kept => new(SbiError.Success, 0, KeepRegisters: true);

    public static SbiResult Of(ulong value) => new(SbiError.Success, value);

    public static implicit operator SbiResult(SbiError error) => new(error, 0);
}
