namespace VirtKit.Execution;

/// <summary>Notifications of a CPU to its engine that something which the engine may have cached is out of date. Called on the CPU's own thread.</summary>
internal interface ICpuEngine
{
    /// <summary>Any load or store may reach other memory now, or none: translations were flushed, or the mode has changed.</summary>
    void DataMappingChanged();

    /// <summary>Loads and stores may reach other memory now at the virtual page of this address.</summary>
    void DataMappingChanged(ulong address);

    /// <summary>Virtual addresses mean what they do in another address space from now on.</summary>
    /// <param name="space">Its number, 0 to <see cref="GuestSystem.Spaces"/> - 1. An engine that keeps code by virtual address keeps it apart by this number, or forgets it here.</param>
    void SpaceChanged(int space);

    /// <summary>Every virtual address of an address space may mean other code now.</summary>
    void CodeMappingChanged(int space);

    /// <summary>The virtual page of this address may mean other code now in an address space.</summary>
    void CodeMappingChanged(int space, ulong address);

    /// <summary>Code bytes may have changed.</summary>
    void CodeBytesChanged();

    /// <summary>Whether the CPU's thread holds a lock of the engine's that other CPUs may wait for: see <see cref="WaitRules"/>.</summary>
    bool HoldsLock { get; }
}
