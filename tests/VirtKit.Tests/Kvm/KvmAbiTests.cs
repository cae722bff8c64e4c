using System.Diagnostics;
using System.Globalization;
using System.Reflection;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Text;
using VirtKit.Accel.Kvm;
using VirtKit.Tests.Support;
using VirtKit.X86;

namespace VirtKit.Tests.Kvm;

/// <summary>Every number and structure of the folder <c>Kvm/Abi</c> against the kernel's headers, through a C program that prints what the compiler makes of them.</summary>
public sealed class KvmAbiTests
{
    /// <summary>Our structures and the kernel's. Fields correspond by name: PascalCase for snake_case, and what is nested in C is named here.</summary>
    private static readonly (Type Type, string Name, (string Ours, string Theirs)[] Special)[] Structures =
    [
        (typeof(KvmRun), "struct kvm_run", [("HardwareExitReason", "hw.hardware_exit_reason"), ("InternalError", "emulation_failure")]),
        (typeof(KvmRunIo), "__typeof__(((struct kvm_run *)0)->io)", []),
        (typeof(KvmRunMmio), "__typeof__(((struct kvm_run *)0)->mmio)", []),
        (typeof(KvmRunHypercall), "__typeof__(((struct kvm_run *)0)->hypercall)", []),
        (typeof(KvmRunInternalError), "__typeof__(((struct kvm_run *)0)->emulation_failure)", []),
        (typeof(KvmRunSystemEvent), "__typeof__(((struct kvm_run *)0)->system_event)", []),
        (typeof(KvmRunMsr), "__typeof__(((struct kvm_run *)0)->msr)", []),
        (typeof(KvmUserspaceMemoryRegion), "struct kvm_userspace_memory_region", []),
        (typeof(KvmDirtyLog), "struct kvm_dirty_log", []),
        (typeof(KvmIrqLevel), "struct kvm_irq_level", []),
        (typeof(KvmIrqfd), "struct kvm_irqfd", []),
        (typeof(KvmIoeventfd), "struct kvm_ioeventfd", [("DatamatchValue", "datamatch")]),
        (typeof(KvmCoalescedMmioZone), "struct kvm_coalesced_mmio_zone", []),
        (typeof(KvmCoalescedMmio), "struct kvm_coalesced_mmio", []),
        (typeof(KvmPitConfig), "struct kvm_pit_config", []),
        (typeof(KvmIrqchip), "struct kvm_irqchip", [("ChipPic", "chip.pic"), ("ChipIoapic", "chip.ioapic")]),
        (typeof(KvmPicState), "struct kvm_pic_state", []),
        (typeof(KvmIoapicState), "struct kvm_ioapic_state", []),
        (typeof(KvmPitChannelState), "struct kvm_pit_channel_state", []),
        (typeof(KvmPitState2), "struct kvm_pit_state2", []),
        (typeof(KvmClock), "struct kvm_clock_data", []),
        (typeof(KvmDeviceAttr), "struct kvm_device_attr", []),
        (typeof(KvmEnableCap), "struct kvm_enable_cap", []),
        (typeof(KvmMsrFilterRange), "struct kvm_msr_filter_range", []),
        (typeof(KvmMsrFilter), "struct kvm_msr_filter", []),
        (typeof(KvmRegs), "struct kvm_regs", []),
        (typeof(X64Registers), "struct kvm_regs", []),
        (typeof(KvmSegment), "struct kvm_segment", []),
        (typeof(KvmDtable), "struct kvm_dtable", []),
        (typeof(KvmSregs), "struct kvm_sregs", []),
        (typeof(KvmMsrEntry), "struct kvm_msr_entry", []),
        (typeof(KvmCpuidEntry2), "struct kvm_cpuid_entry2", []),
        (typeof(KvmVcpuEvents), "struct kvm_vcpu_events",
        [
            ("ExceptionInjected", "exception.injected"), ("ExceptionNr", "exception.nr"), ("ExceptionHasErrorCode", "exception.has_error_code"), ("ExceptionPending", "exception.pending"),
            ("ExceptionErrorCode", "exception.error_code"), ("InterruptInjected", "interrupt.injected"), ("InterruptNr", "interrupt.nr"), ("InterruptSoft", "interrupt.soft"),
            ("InterruptShadow", "interrupt.shadow"), ("NmiInjected", "nmi.injected"), ("NmiPending", "nmi.pending"), ("NmiMasked", "nmi.masked"), ("SmiSmm", "smi.smm"),
            ("TripleFaultPending", "triple_fault.pending"),
        ]),
        (typeof(KvmDebugregs), "struct kvm_debugregs", []),
        (typeof(KvmXcr), "struct kvm_xcr", []),
        (typeof(KvmXcrs), "struct kvm_xcrs", []),
    ];

    private static readonly (string Name, ulong Value)[] Constants =
    [
        ("KVM_API_VERSION", KvmIoctl.ApiVersion), ("KVM_MSR_FILTER_MAX_RANGES", KvmMsrFilter.MaxRanges), ("KVM_MSR_FILTER_MAX_BITMAP_SIZE", KvmMsrFilter.MaxBitmapSize),
        ("KVM_MSR_FILTER_READ", KvmMsrFilterRange.Read), ("KVM_MSR_FILTER_WRITE", KvmMsrFilterRange.Write), ("KVM_MEM_LOG_DIRTY_PAGES", KvmUserspaceMemoryRegion.LogDirtyPages),
        ("KVM_MEM_READONLY", KvmUserspaceMemoryRegion.Readonly), ("KVM_IRQFD_FLAG_DEASSIGN", KvmIrqfd.Deassign), ("KVM_IOEVENTFD_FLAG_DATAMATCH", KvmIoeventfd.Datamatch),
        ("KVM_IOEVENTFD_FLAG_PIO", KvmIoeventfd.Pio), ("KVM_IOEVENTFD_FLAG_DEASSIGN", KvmIoeventfd.Deassign), ("KVM_CPUID_FLAG_SIGNIFCANT_INDEX", KvmCpuidEntry2.SignificantIndex),
        ("KVM_VCPUEVENT_VALID_NMI_PENDING", KvmVcpuEvents.ValidNmiPending), ("KVM_VCPUEVENT_VALID_SIPI_VECTOR", KvmVcpuEvents.ValidSipiVector),
        ("KVM_VCPUEVENT_VALID_SHADOW", KvmVcpuEvents.ValidShadow), ("KVM_MAX_XCRS", KvmXcrs.MaxXcrs), ("KVM_SYSTEM_EVENT_SHUTDOWN", KvmRunSystemEvent.Shutdown),
        ("KVM_SYSTEM_EVENT_RESET", KvmRunSystemEvent.Reset), ("KVM_SYSTEM_EVENT_CRASH", KvmRunSystemEvent.Crash),
        ("KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES", KvmRunInternalError.HasInstructionBytes), ("KVM_EXIT_IO_OUT", 1),
        ("KVM_IRQCHIP_PIC_MASTER", KvmIrqchip.PicMaster), ("KVM_IRQCHIP_PIC_SLAVE", KvmIrqchip.PicSlave), ("KVM_IRQCHIP_IOAPIC", KvmIrqchip.Ioapic),
        ("KVM_VCPU_TSC_CTRL", KvmDeviceAttr.TscControl), ("KVM_VCPU_TSC_OFFSET", KvmDeviceAttr.TscOffset),
        ("KVM_PIT_FLAGS_SPEAKER_DATA_ON", KvmPitState2.SpeakerDataOn),
        ("KVM_MP_STATE_RUNNABLE", (ulong)KvmMpState.Runnable), ("KVM_MP_STATE_UNINITIALIZED", (ulong)KvmMpState.Uninitialized), ("KVM_MP_STATE_HALTED", (ulong)KvmMpState.Halted),
        ("KVM_MP_STATE_INIT_RECEIVED", (ulong)KvmMpState.InitReceived), ("KVM_MP_STATE_SIPI_RECEIVED", (ulong)KvmMpState.SipiReceived),
        ("sizeof(((struct kvm_xsave *)0)->region)", (ulong)Unsafe.SizeOf<X64State.XsaveArea>()), ("sizeof(struct kvm_lapic_state)", (ulong)Unsafe.SizeOf<X64State.LapicPage>()),
        ("KVM_INTERNAL_ERROR_EMULATION", KvmRunInternalError.Emulation), ("offsetof(struct kvm_coalesced_mmio_ring, first)", 0), ("offsetof(struct kvm_coalesced_mmio_ring, last)", 4),
        ("offsetof(struct kvm_coalesced_mmio_ring, coalesced_mmio)", 8), ("(4096 - sizeof(struct kvm_coalesced_mmio_ring)) / sizeof(struct kvm_coalesced_mmio)", KvmCoalescedMmioRing.Capacity),
        ("offsetof(struct kvm_msrs, nmsrs)", 0), ("offsetof(struct kvm_msrs, entries)", (ulong)Marshal.OffsetOf<KvmMsrs>(nameof(KvmMsrs.Entries))), ("offsetof(struct kvm_cpuid2, nent)", 0),
        ("sizeof(((struct kvm_signal_mask *)0)->len)", 4), ("offsetof(struct kvm_cpuid2, entries)", 8), ("offsetof(struct kvm_signal_mask, sigset)", 4),
        ("EINTR", Libc.Eintr), ("E2BIG", Libc.E2big), ("EBADF", Libc.Ebadf), ("EAGAIN", Libc.Eagain), ("EACCES", Libc.Eacces), ("EPERM", Libc.Eperm), ("ENOENT", Libc.Enoent), ("ENXIO", Libc.Enxio), ("ENODEV", Libc.Enodev),
        ("O_RDWR", Libc.ORdwr), ("O_CLOEXEC", Libc.OCloexec), ("PROT_READ", Libc.ProtRead), ("PROT_WRITE", Libc.ProtWrite), ("MAP_SHARED", Libc.MapShared), ("SIG_BLOCK", Libc.SigBlock),
        ("EFD_CLOEXEC", Libc.EfdCloexec), ("EFD_NONBLOCK", Libc.EfdNonblock), ("sizeof(sigset_t)", 128), ("sizeof(struct timespec)", 16),
    ];

    [Fact]
    public void Abi_EveryStructureAndNumber_IsTheHeaders()
    {
        string compiler = Require.Program("gcc", "gcc");
        Require.File("/usr/include/linux/kvm.h", "Debian: linux-libc-dev");
        var expected = new List<string>();
        var source = new StringBuilder();
        source.AppendLine("#define _GNU_SOURCE").AppendLine("#define __always_inline inline").AppendLine("#include <stddef.h>").AppendLine("#include <stdio.h>").AppendLine("#include <errno.h>")
            .AppendLine("#include <fcntl.h>").AppendLine("#include <signal.h>").AppendLine("#include <time.h>").AppendLine("#include <sys/mman.h>").AppendLine("#include <sys/eventfd.h>")
            .AppendLine("#include <linux/kvm.h>").AppendLine("int main(void) {");

        foreach ((Type type, string name, (string Ours, string Theirs)[] special) in Structures)
        {
            // The tail of kvm_run and of the unions' members is the kernel's business; everything else has to match to the byte.
            bool partial = type == typeof(KvmRunInternalError) || type == typeof(KvmRunSystemEvent);
            if (!partial)
                Expect($"sizeof({name})", SizeOf(type));
            foreach (FieldInfo field in type.GetFields(BindingFlags.Instance | BindingFlags.Public))
            {
                string theirs = special.FirstOrDefault(s => s.Ours == field.Name).Theirs ?? Snake(field.Name);
                Expect($"offsetof({name}, {theirs})", (ulong)OffsetOf(type, field));
                if (field.FieldType.IsPrimitive && theirs != "pad")
                    Expect($"sizeof((({name} *)0)->{theirs})", SizeOf(field.FieldType));
            }
        }

        foreach ((string name, ulong value) in Constants)
            Expect(name, value);
        foreach (KvmCap cap in Enum.GetValues<KvmCap>())
            Expect("KVM_CAP_" + Snake(cap.ToString()).ToUpperInvariant(), (ulong)cap);
        foreach (KvmExit exit in Enum.GetValues<KvmExit>())
            Expect("KVM_EXIT_" + Snake(exit.ToString()).ToUpperInvariant(), (ulong)exit);
        foreach (FieldInfo request in typeof(KvmIoctl).GetFields(BindingFlags.Static | BindingFlags.Public).Where(f => !f.IsLiteral))
            Expect(IoctlName(request.Name), (nuint)request.GetValue(null)!);
        source.AppendLine("return 0; }");

        Assert.Equal(string.Join('\n', expected), Compile(compiler, source.ToString()).TrimEnd());

        void Expect(string expression, ulong value)
        {
            source.Append(CultureInfo.InvariantCulture, $"printf(\"%s = %lu\\n\", \"{expression}\", (unsigned long)({expression}));\n");
            expected.Add(string.Create(CultureInfo.InvariantCulture, $"{expression} = {value}"));
        }
    }

    [Fact]
    public void Abi_Structures_AreAllCompared()
    {
        // The two with a flexible array stand among the constants; an inline array is a part of its structure.
        Type[] elsewhere = [typeof(KvmMsrs), typeof(KvmCoalescedMmioRing)];
        Type[] all = [.. typeof(KvmEngine).Assembly.GetTypes().Where(t => t is { IsValueType: true, IsEnum: false, IsNested: false } && t.Namespace == typeof(KvmEngine).Namespace)];
        Assert.Contains(typeof(KvmRun), all);
        Assert.Equal([], all.Except(Structures.Select(s => s.Type)).Except(elsewhere));
    }

    private static string IoctlName(string name) => name == "SetMsrFilter" ? "KVM_X86_SET_MSR_FILTER" : "KVM_" + Snake(name).ToUpperInvariant();

    private static string Snake(string name) => string.Concat(name.Select((c, i) => i > 0 && char.IsUpper(c) ? "_" + char.ToLowerInvariant(c) : char.ToLowerInvariant(c).ToString()));

    private static ulong SizeOf(Type type) => (ulong)(int)typeof(Unsafe).GetMethod(nameof(Unsafe.SizeOf))!.MakeGenericMethod(type).Invoke(null, null)!;

    private static nint OffsetOf(Type type, FieldInfo field) => Marshal.OffsetOf(type, field.Name);

    private static string Compile(string compiler, string source)
    {
        DirectoryInfo folder = Directory.CreateTempSubdirectory("virtkit-abi");
        try
        {
            string file = Path.Combine(folder.FullName, "abi.c"), program = Path.Combine(folder.FullName, "abi");
            File.WriteAllText(file, source);
            Run(compiler, "-w", "-o", program, file);
            return Run(program);
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    private static string Run(string program, params string[] arguments)
    {
        using Process process = Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true })!;
        Task<string> errors = process.StandardError.ReadToEndAsync();
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        Assert.True(process.ExitCode == 0, errors.Result);
        return output;
    }
}
