namespace VirtKit.Tests.Support;

/// <summary>Tests that look at the memory of the whole process run alone: others would be counted with them.</summary>
[CollectionDefinition(nameof(MemoryOfTheProcess), DisableParallelization = true)]
public sealed class MemoryOfTheProcess;
