namespace VirtKit.Execution;

/// <summary>What an instruction does with memory.</summary>
internal enum MemoryAccess : byte
{
    Load,
    Store,
    Execute,
}
