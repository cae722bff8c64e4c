namespace VirtKit.Execution;

/// <summary>Who may wait for whom among the vCPUs of one machine. This is the one place where it is written down; the code that waits checks the rules where
/// <see cref="AreChecked"/>, as in all tests.</summary>
/// <remarks>
/// A vCPU's thread can be <i>in the guest</i> (between <see cref="GuestCpu.EnterGuest"/> and <see cref="GuestCpu.LeaveGuest"/>) and, on the translator, <i>in code</i> (inside
/// translated code or a function that it calls). There are three waits:
/// <list type="number">
/// <item><b>Fence</b> (<see cref="GuestCpu.FenceRemotely"/>): until the target is not in the guest or has served the request. The waiting CPU is in the guest, and often in
/// code; it serves what others ask of it meanwhile.</item>
/// <item><b>Gate</b> (the translation cache's lock): until the holder has looked up, translated or evicted.</item>
/// <item><b>Eviction</b> (by the gate's holder): until no other vCPU is in code.</item>
/// </list>
/// The rules, by which every chain of waits ends at a thread that runs:
/// <list type="bullet">
/// <item>Who waits for the gate is neither in the guest nor in code: nobody waits for it.</item>
/// <item>Who evicts is neither in the guest nor in code: no fence waits for it. It waits only for vCPUs in code, which never wait for the gate.</item>
/// <item>Who fences holds no lock. It waits only for CPUs in the guest, which run guest code, translate without waiting, or fence and serve.</item>
/// <item>The order of locks is: gate, then those that are only held for a few instructions (a start request, the clock's queue, the scheduler's events).
/// A device's lock is taken in code, never with the gate held.</item>
/// <item>Every one of these waits ends when its own vCPU is asked to stop. What it waited for is then not done: a fence's call is executed again when the vCPU runs on,
/// a lookup or an eviction is tried again.</item>
/// </list>
/// </remarks>
internal static class WaitRules
{
    /// <summary>Whether a broken rule throws. Set by <c>VirtKit.CheckWaitRules</c> in the runtime configuration; a constant for the JIT.</summary>
    public static readonly bool AreChecked = AppContext.TryGetSwitch("VirtKit.CheckWaitRules", out bool isOn) && isOn;

    /// <summary>Throws where a rule is checked and broken.</summary>
    /// <param name="holds">Whether it is kept.</param>
    /// <param name="rule">The rule, for the message.</param>
    public static void Check(bool holds, string rule)
    {
        if (AreChecked && !holds)
            throw new InvalidOperationException($"A vCPU's thread breaks a rule of waiting: {rule}.");
    }
}
