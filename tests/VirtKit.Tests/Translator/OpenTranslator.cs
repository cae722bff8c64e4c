using VirtKit.Accel.Translator;
using VirtKit.Engines;

namespace VirtKit.Tests.Translator;

/// <summary>The translator, with its partition for a test to look into.</summary>
internal sealed class OpenTranslator(TranslatorOptions options) : ExecutionEngine
{
    public override string Name => "translator";

    /// <summary>The last partition.</summary>
    public TranslatorPartition? Partition { get; private set; }

    public override bool Supports(GuestArchitecture architecture, out string? reason) => new TranslatorEngine(options).Supports(architecture, out reason);

    public override EnginePartition CreatePartition(PartitionContext context) => Partition = (TranslatorPartition)new TranslatorEngine(options).CreatePartition(context);
}
