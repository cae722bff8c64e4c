namespace VirtKit.Sandboxing;

/// <summary>What a sandbox has used.</summary>
/// <param name="Instructions">Instructions that the guest retired: the same number on every engine.</param>
/// <param name="Calls">Calls of the host into the guest, those within host functions included.</param>
/// <param name="HostCalls">Calls of the guest to functions of the host.</param>
/// <param name="OutputBytes">Bytes that the guest wrote to the host's log.</param>
/// <param name="Memory">Bytes that the guest has mapped now: program, heap and stack. The host keeps pages only of what was written.</param>
public readonly record struct SandboxUsage(ulong Instructions, ulong Calls, ulong HostCalls, ulong OutputBytes, ulong Memory);
