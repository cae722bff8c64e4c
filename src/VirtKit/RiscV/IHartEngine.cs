namespace VirtKit.RiscV;

/// <summary>What a hart tells the engine that runs it about what the engine may have cached. Called on the hart's own thread.</summary>
internal interface IHartEngine
{
    /// <summary>Loads and stores may reach other memory now, or none: translations went, or others apply.</summary>
    void DataMappingChanged();

    /// <summary>Loads and stores may reach other memory now at the virtual page of this address.</summary>
    void DataMappingChanged(ulong address);

    /// <summary>Every virtual address may mean other code now.</summary>
    void CodeMappingChanged();

    /// <summary>The virtual page of this address may mean other code now.</summary>
    void CodeMappingChanged(ulong address);

    /// <summary>Code bytes may have changed (fence.i).</summary>
    void CodeBytesChanged();

    /// <summary>Whether the hart's thread holds a lock of the engine's that other harts may wait for: see <see cref="WaitRules"/>.</summary>
    bool HoldsLock { get; }
}
