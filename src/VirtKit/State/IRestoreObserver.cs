namespace VirtKit.State;

/// <summary>The capability of an <see cref="IDevice"/> to learn that its machine is another one from here on: <see cref="Machine.Restore"/> has made it the one that was captured.</summary>
/// <remarks>A device needs it that tells its guest, or takes new numbers from the host. One that only has to go on as it was needs <see cref="ISnapshotable"/> alone.</remarks>
public interface IRestoreObserver
{
    /// <summary>Called after a restore, when memory, devices, vCPUs and timers are as they were captured, before anything runs: what the device does here comes on top, as the first thing that
    /// happens to the guest. Under the device's gate, on the thread that restores. A change of engines is no restore.</summary>
    void OnRestored();
}
