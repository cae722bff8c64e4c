using VirtKit.Accel.Translator.Code;
using VirtKit.Accel.Translator.Guests;
using VirtKit.Engines;
using VirtKit.Execution;
using VirtKit.Interpreter;

namespace VirtKit.Accel.Translator;

/// <summary>Binary translation of RISC-V guests to the host's machine code. It counts instructions exactly, as the interpreter does, and with
/// <see cref="VcpuScheduling.Deterministic"/> a run is the same on both.</summary>
/// <remarks>Runs on x86-64 hosts with AVX2, BMI2 and FMA (x86-64-v3) that give executable memory. Code memory is never writable and executable through one mapping.</remarks>
public sealed class TranslatorEngine : ExecutionEngine
{
    private readonly TranslatorOptions _options;
    private readonly Lazy<string?> _objection = new(HostObjection);

    /// <summary>Creates the engine.</summary>
    /// <param name="options">What differs from the defaults.</param>
    /// <exception cref="ArgumentOutOfRangeException">An option is out of its range.</exception>
    public TranslatorEngine(TranslatorOptions? options = null)
    {
        _options = options ?? new TranslatorOptions();
        ArgumentOutOfRangeException.ThrowIfLessThan(_options.CodeCacheSize, TranslatorOptions.MinCodeCacheSize, nameof(options));
        ArgumentOutOfRangeException.ThrowIfGreaterThan(_options.CodeCacheSize, TranslatorOptions.MaxCodeCacheSize, nameof(options));
    }

    /// <inheritdoc/>
    public override string Name => "translator";

    /// <inheritdoc/>
    public override bool Supports(GuestArchitecture architecture, out string? reason)
    {
        ArgumentNullException.ThrowIfNull(architecture);
        reason = architecture.SoftwareObjection ?? _objection.Value;
        return reason is null;
    }

    /// <inheritdoc/>
    public override EnginePartition CreatePartition(PartitionContext context)
    {
        ArgumentNullException.ThrowIfNull(context);
        if (!Supports(context.Architecture, out string? reason))
            throw new VirtKitException($"The translator cannot run {context.Architecture.Name}: {reason}");
        GuestSystem system = context.System;
        GuestRegisterFile guest = GuestRegisterFiles.Of(system) ?? throw new VirtKitException($"The translator does not know the registers of {context.Architecture.Name}.");
        return new TranslatorPartition(system, guest, _options);
    }

    private static string? HostObjection()
    {
        try
        {
            if (HostCode.Objection() is { } objection)
                return objection;
            CodeMemory.Allocate(TranslatorOptions.MinCodeCacheSize).Dispose();
            return null;
        }
        catch (VirtKitException e)
        {
            return e.Message;
        }
    }
}
